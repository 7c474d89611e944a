//! Binds a shared library to itself: what it defines and uses under a name is looked up once, here, and not again by
//! every process that loads it.
//!
//! The prebuilt DuckDB refers to its own functions and tables by name, some 62,000 times, so that other libraries could
//! replace them. Nobody does, and a process takes milliseconds to look those names up. This is what linking with
//! `-Bsymbolic` would have done: relocations against symbols of the library itself become offsets from where it is
//! loaded. A symbol that must be one for the whole process (`STB_GNU_UNIQUE`) keeps its name.

use crate::Result;

const SEGMENT_LOAD: u64 = 1;
const SEGMENT_DYNAMIC: u64 = 2;

const DT_PLTRELSZ: u64 = 2;
const DT_SYMTAB: u64 = 6;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const DT_JMPREL: u64 = 23;
const DT_RELACOUNT: u64 = 0x6fff_fff9;

const R_64: u64 = 1;
const R_GLOB_DAT: u64 = 6;
const R_JUMP_SLOT: u64 = 7;
const R_RELATIVE: u64 = 8;

/// Bytes of an entry of a table of relocations, and of the table of symbols.
const ENTRY: usize = 24;

/// Binds a library for x86-64 in memory and returns how many references by name it had to itself.
pub(super) fn bind(library: &mut [u8]) -> Result<usize> {
    const IDENTITY: &[u8] = b"\x7fELF\x02\x01";
    const MACHINE: (usize, u64) = (18, 62);
    let mut elf = Elf { bytes: library };
    if !elf.bytes.starts_with(IDENTITY) || elf.read::<2>(MACHINE.0) != Some(MACHINE.1) {
        return Err("failed to bind the library: it is not one for 64-bit x86".into());
    }
    let bound = elf.bind_data().and_then(|data| Some(data + elf.bind_calls()?));
    bound.ok_or_else(|| "failed to bind the library: its tables are not where they should be".into())
}

/// A library's file.
struct Elf<'a> {
    bytes: &'a mut [u8],
}

/// Where something is changed when the library is loaded, and how.
#[derive(Clone, Copy)]
struct Relocation {
    address: u64,
    info: u64,
    addend: u64,
}

impl Elf<'_> {
    /// A number of `N` bytes at an offset of the file.
    fn read<const N: usize>(&self, at: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(N)?)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn write(&mut self, at: usize, number: u64) -> Option<()> {
        self.bytes.get_mut(at..at.checked_add(8)?)?.copy_from_slice(&number.to_le_bytes());
        Some(())
    }

    /// The segments of a kind: address, offset in the file, bytes in the file.
    fn segments(&self, kind: u64) -> Option<Vec<[u64; 3]>> {
        let (table, count) = (index(self.read::<8>(32)?)?, index(self.read::<2>(56)?)?);
        let at = (0..count).map(|number| table + number * 56);
        let found = at.filter(|at| self.read::<4>(*at) == Some(kind));
        found.map(|at| Some([self.read::<8>(at + 16)?, self.read::<8>(at + 8)?, self.read::<8>(at + 32)?])).collect()
    }

    /// The offset in the file of what is loaded at an address.
    fn offset(loads: &[[u64; 3]], address: u64) -> Option<usize> {
        let inside = |[start, _, size]: &&[u64; 3]| (*start..start + size).contains(&address);
        loads.iter().find(inside).and_then(|[start, offset, _]| index(address - start + offset))
    }

    /// Where in the file the value of an entry of the dynamic section is.
    fn dynamic(&self, tag: u64) -> Option<usize> {
        let [_, offset, size] = *self.segments(SEGMENT_DYNAMIC)?.first()?;
        let (start, size) = (index(offset)?, index(size)?);
        (start..start + size).step_by(16).find(|at| self.read::<8>(*at) == Some(tag)).map(|at| at + 8)
    }

    fn dynamic_value(&self, tag: u64) -> Option<u64> {
        self.read::<8>(self.dynamic(tag)?)
    }

    /// A table of relocations: its offset in the file, and its entries.
    fn relocations(&self, loads: &[[u64; 3]], (start, size): (u64, u64)) -> Option<(usize, Vec<Relocation>)> {
        let table = Self::offset(loads, self.dynamic_value(start)?)?;
        let count = index(self.dynamic_value(size)?)? / ENTRY;
        let one = |at: usize| {
            let (address, info, addend) = (self.read::<8>(at)?, self.read::<8>(at + 8)?, self.read::<8>(at + 16)?);
            Some(Relocation { address, info, addend })
        };
        let all: Option<Vec<_>> = (0..count).map(|number| one(table + number * ENTRY)).collect();
        Some((table, all?))
    }

    /// The address of a function or an object that the library defines and that may be taken from it alone.
    fn own(&self, symbols: usize, relocation: &Relocation) -> Option<u64> {
        const UNDEFINED: u64 = 0;
        const RESERVED: u64 = 0xff00;
        let at = symbols + index(relocation.info >> 32)? * ENTRY;
        let (info, section) = (self.read::<1>(at + 4)?, self.read::<2>(at + 6)?);
        let (is_global_or_weak, is_plain) = (matches!(info >> 4, 1 | 2), matches!(info & 15, 0..=2));
        let is_own = section != UNDEFINED && section < RESERVED;
        if is_own && is_global_or_weak && is_plain { self.read::<8>(at + 8) } else { None }
    }

    /// References in data: they become offsets. Those come first, in the order of their places, and are counted, so that
    /// the dynamic linker takes them in one go.
    fn bind_data(&mut self) -> Option<usize> {
        let loads = self.segments(SEGMENT_LOAD)?;
        let symbols = Self::offset(&loads, self.dynamic_value(DT_SYMTAB)?)?;
        let (table, mut all) = self.relocations(&loads, (DT_RELA, DT_RELASZ))?;
        let mut bound = 0;
        for relocation in &mut all {
            let addend = match relocation.info & 0xffff_ffff {
                R_64 => relocation.addend,
                R_GLOB_DAT => 0,
                _ => continue,
            };
            if let Some(own) = self.own(symbols, relocation) {
                *relocation = Relocation { info: R_RELATIVE, addend: own.wrapping_add(addend), ..*relocation };
                bound += 1;
            }
        }
        let (mut relative, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| one.info == R_RELATIVE);
        relative.sort_by_key(|one| one.address);
        self.write(self.dynamic(DT_RELACOUNT)?, relative.len() as u64)?;
        for (number, one) in relative.iter().chain(&others).enumerate() {
            let at = table + number * ENTRY;
            self.write(at, one.address)?;
            self.write(at + 8, one.info)?;
            self.write(at + 16, one.addend)?;
        }
        Some(bound)
    }

    /// Calls: the dynamic linker adds the library's place to what their slots hold, which is the address of code that would
    /// look the name up at the first call. Slots that hold the function's own address need no look-up. Where calls are
    /// bound at the start (`LD_BIND_NOW`), the names count as before.
    fn bind_calls(&mut self) -> Option<usize> {
        let loads = self.segments(SEGMENT_LOAD)?;
        let symbols = Self::offset(&loads, self.dynamic_value(DT_SYMTAB)?)?;
        let (_, all) = self.relocations(&loads, (DT_JMPREL, DT_PLTRELSZ))?;
        let mut bound = 0;
        for relocation in all.iter().filter(|one| one.info & 0xffff_ffff == R_JUMP_SLOT) {
            if let Some(own) = self.own(symbols, relocation) {
                self.write(Self::offset(&loads, relocation.address)?, own)?;
                bound += 1;
            }
        }
        Some(bound)
    }
}

fn index(number: u64) -> Option<usize> {
    usize::try_from(number).ok()
}

#[cfg(test)]
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// A library with references to itself of every kind that is bound: a table of functions and of data, calls, and a
    /// weak function; and one to another library.
    const LIBRARY: &str = r#"
        #include <string.h>
        int answer = 42;
        int *pointer = &answer;
        int twice(int value) { return 2 * value; }
        __attribute__((weak)) int thrice(int value) { return 3 * value; }
        int (*table[])(int) = { twice, thrice };
        int sum(void) { return twice(answer) + thrice(*pointer) + table[0](1) + table[1](1) + (int)strlen("abc"); }
    "#;
    /// Would replace two of the library's functions, if they were still looked up by name.
    const PROGRAM: &str = r#"
        #include <stdio.h>
        int twice(int value) { return 100; }
        int thrice(int value) { return 100; }
        int sum(void);
        int main(void) { printf("%d", sum()); return 0; }
    "#;

    fn cc(folder: &Path, arguments: &[&str]) {
        let built = Command::new("cc").current_dir(folder).args(arguments).status().unwrap();
        assert!(built.success(), "cc {arguments:?}");
    }

    fn run(folder: &Path, now: &str) -> String {
        let mut program = Command::new(folder.join("program"));
        let output = program.env("LD_LIBRARY_PATH", folder).env("LD_BIND_NOW", now).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn a_bound_library_uses_what_it_defines_and_others_where_it_does_not() {
        let folder = std::env::temp_dir().join(format!("bind-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("library.c"), LIBRARY).unwrap();
        fs::write(folder.join("program.c"), PROGRAM).unwrap();
        let lazy = ["-O0", "-fPIC", "-shared", "-Wl,-z,lazy", "library.c", "-o", "liblibrary.so"];
        cc(&folder, &lazy);
        cc(&folder, &["-rdynamic", "program.c", "-L.", "-llibrary", "-o", "program"]);
        assert_eq!(run(&folder, ""), "403");
        let path = folder.join("liblibrary.so");
        let mut bytes = fs::read(&path).unwrap();
        let bound = bind(&mut bytes).unwrap();
        assert!(bound >= 6, "{bound}");
        fs::remove_file(&path).unwrap();
        fs::write(&path, &bytes).unwrap();
        assert_eq!(run(&folder, ""), "218");
        assert_eq!(bind(&mut bytes).unwrap(), 2, "calls keep their names too; nothing else is left");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_is_no_library_is_refused() {
        assert!(bind(&mut b"#!/bin/sh".to_vec()).is_err());
        let mut cut = fs::read("/proc/self/exe").unwrap();
        cut.truncate(4096);
        assert!(bind(&mut cut).is_err());
    }
}
