//! Tells one error of a source from all others.

use crate::error::Error;

/// An answer that means something of its own: a status, several, a code in the error's text, or what a function says of
/// the error.
pub trait Signal {
    /// Whether the answer with this status (none came where it is absent) and this error is the one.
    fn is(&self, status: Option<u16>, error: &Error) -> bool;
}

impl Signal for u16 {
    fn is(&self, status: Option<u16>, error: &Error) -> bool {
        [*self].is(status, error)
    }
}

impl<const N: usize> Signal for [u16; N] {
    fn is(&self, status: Option<u16>, error: &Error) -> bool {
        status.or(error.status()).is_some_and(|status| self.contains(&status))
    }
}

impl Signal for &'static str {
    fn is(&self, _: Option<u16>, error: &Error) -> bool {
        error.code() == Some(self) || error.message().contains(self)
    }
}

impl<F: Fn(&Error) -> bool> Signal for F {
    fn is(&self, _: Option<u16>, error: &Error) -> bool {
        self(error)
    }
}
