// Stands between a program and the system's file calls (LD_PRELOAD): makes one of them fail, or writes all of them down.
//
//   IO_PATH    a folder: it and what is in it are concerned, all else is left alone
//   IO_FAIL    N:ERRNO[:on]  call number N (from 1) fails with this error; with "on" every later one too
//   IO_COUNT   a file that tells at the end how many calls there were
//   IO_LOG     a file to which every call is appended: enough to rebuild the files as a power cut would leave them
//
// A record of the log: one letter (W write, T truncate, S sync, R rename, L link, M folder made, U unlink), then decimal numbers and bytes, see
// `note`. Calls are counted and written down under one lock, in the order in which they take effect.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *prefix;
static long fail_at, fail_errno, calls;
static int fail_on, log_fd = -1, ready;

static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }

static ssize_t plain_write(int fd, const void *bytes, size_t length) {
  static ssize_t (*real)(int, const void *, size_t);
  if (!real) real = next("write");
  return real(fd, bytes, length);
}

static void prepare(void) {
  if (ready) return;
  ready = 1;
  prefix = getenv("IO_PATH");
  const char *fail = getenv("IO_FAIL"), *log = getenv("IO_LOG");
  if (fail) {
    char word[8] = "";
    sscanf(fail, "%ld:%ld:%7s", &fail_at, &fail_errno, word);
    fail_on = word[0] == 'o';
  }
  if (log) log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

// Whether a descriptor is a file of interest; its path then.
static int concerned(int fd, char path[PATH_MAX]) {
  if (!prefix || fd == log_fd) return 0;
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return strncmp(path, prefix, strlen(prefix)) == 0;
}

static int concerned_path(const char *path, char full[PATH_MAX]) {
  if (!prefix) return 0;
  if (!realpath(path, full)) snprintf(full, PATH_MAX, "%s", path);
  return strncmp(full, prefix, strlen(prefix)) == 0;
}

// Counts a call; true if it is to fail.
static int fails(void) {
  calls++;
  if (!fail_at || calls < fail_at || (calls > fail_at && !fail_on)) return 0;
  errno = (int)fail_errno;
  return 1;
}

// LETTER PATHLENGTH OFFSET LENGTH\n PATH BYTES
static void note(char letter, const char *path, long offset, const void *bytes, size_t length) {
  if (log_fd < 0) return;
  char head[96];
  int size = snprintf(head, sizeof head, "%c %zu %ld %zu\n", letter, strlen(path), offset, length);
  plain_write(log_fd, head, (size_t)size);
  plain_write(log_fd, path, strlen(path));
  if (bytes) plain_write(log_fd, bytes, length);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
  static ssize_t (*real)(int, const void *, size_t, off64_t);
  if (!real) real = next("pwrite64");
  char path[PATH_MAX];
  pthread_mutex_lock(&lock);
  prepare();
  ssize_t done = -1;
  if (!concerned(fd, path)) {
    done = real(fd, bytes, length, offset);
  } else if (!fails()) {
    done = real(fd, bytes, length, offset);
    if (done > 0) note('W', path, (long)offset, bytes, (size_t)done);
  }
  pthread_mutex_unlock(&lock);
  return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) { return pwrite64(fd, bytes, length, offset); }

ssize_t write(int fd, const void *bytes, size_t length) {
  char path[PATH_MAX];
  if (fd <= 2) return plain_write(fd, bytes, length);
  pthread_mutex_lock(&lock);
  prepare();
  ssize_t done = -1;
  if (!concerned(fd, path)) {
    done = plain_write(fd, bytes, length);
  } else if (!fails()) {
    off_t offset = lseek(fd, 0, SEEK_CUR);
    int flags = fcntl(fd, F_GETFL);
    if (flags & O_APPEND) offset = lseek(fd, 0, SEEK_END);
    done = plain_write(fd, bytes, length);
    if (done > 0) note('W', path, (long)offset, bytes, (size_t)done);
  }
  pthread_mutex_unlock(&lock);
  return done;
}

// Programs that copy from file to file without seeing the bytes are told to do it by reading and writing.
static ssize_t unknown(void) {
  errno = ENOSYS;
  return -1;
}

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t length, unsigned flags) {
  (void)in, (void)from, (void)out, (void)to, (void)length, (void)flags;
  return unknown();
}

ssize_t sendfile64(int out, int in, off64_t *from, size_t length) {
  (void)out, (void)in, (void)from, (void)length;
  return unknown();
}

ssize_t sendfile(int out, int in, off_t *from, size_t length) { return sendfile64(out, in, from, length); }

static int synced(const char *name, int (*real)(int), int fd) {
  (void)name;
  char path[PATH_MAX];
  pthread_mutex_lock(&lock);
  prepare();
  int done = -1;
  if (!concerned(fd, path)) {
    done = real(fd);
  } else if (!fails()) {
    done = real(fd);
    note('S', path, 0, NULL, 0);
  }
  pthread_mutex_unlock(&lock);
  return done;
}

int fsync(int fd) {
  static int (*real)(int);
  if (!real) real = next("fsync");
  return synced("fsync", real, fd);
}

int fdatasync(int fd) {
  static int (*real)(int);
  if (!real) real = next("fdatasync");
  return synced("fdatasync", real, fd);
}

int ftruncate64(int fd, off64_t length) {
  static int (*real)(int, off64_t);
  if (!real) real = next("ftruncate64");
  char path[PATH_MAX];
  pthread_mutex_lock(&lock);
  prepare();
  int done = -1;
  if (!concerned(fd, path)) {
    done = real(fd, length);
  } else if (!fails()) {
    done = real(fd, length);
    note('T', path, (long)length, NULL, 0);
  }
  pthread_mutex_unlock(&lock);
  return done;
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int unlink(const char *name) {
  static int (*real)(const char *);
  if (!real) real = next("unlink");
  char path[PATH_MAX];
  pthread_mutex_lock(&lock);
  prepare();
  int ours = concerned_path(name, path);
  // Does not fail: what makes room works on a full disk.
  int done = real(name);
  if (ours && done == 0) note('U', path, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  return done;
}

int rename(const char *from, const char *to) {
  static int (*real)(const char *, const char *);
  if (!real) real = next("rename");
  char path[PATH_MAX];
  pthread_mutex_lock(&lock);
  prepare();
  int ours = concerned_path(from, path), done = -1;
  if (!ours || !fails()) {
    done = real(from, to);
    if (ours && done == 0) note('R', path, 0, to, strlen(to));
  }
  pthread_mutex_unlock(&lock);
  return done;
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
  static int (*real)(int, const char *, int, const char *, int);
  if (!real) real = next("linkat");
  char path[PATH_MAX];
  pthread_mutex_lock(&lock);
  prepare();
  int ours = concerned_path(from, path), done = -1;
  if (!ours || !fails()) {
    done = real(from_folder, from, to_folder, to, flags);
    if (ours && done == 0) note('L', path, 0, to, strlen(to));
  }
  pthread_mutex_unlock(&lock);
  return done;
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int mkdir(const char *name, mode_t mode) {
  static int (*real)(const char *, mode_t);
  if (!real) real = next("mkdir");
  char path[PATH_MAX];
  pthread_mutex_lock(&lock);
  prepare();
  int done = real(name, mode);
  // Only now the path can be resolved. The folder IO_PATH itself is not in itself.
  if (done == 0 && concerned_path(name, path) && path[strlen(prefix)] == '/') {
    if (fails()) {
      rmdir(name);
      errno = (int)fail_errno;
      done = -1;
    } else {
      note('M', path, 0, NULL, 0);
    }
  }
  pthread_mutex_unlock(&lock);
  return done;
}

__attribute__((destructor)) static void count(void) {
  const char *file = getenv("IO_COUNT");
  if (!file) return;
  int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  char text[32];
  if (fd >= 0) plain_write(fd, text, (size_t)snprintf(text, sizeof text, "%ld", calls));
}
