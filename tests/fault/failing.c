/* Fails the k-th call that changes a file below one folder; made for tests, loaded by LD_PRELOAD.
 *
 * FAILING_UNDER names the folder, FAILING_CONTROL a file of `struct control` that both sides have mapped: a test arms,
 * disarms and reads while the process runs. What fails is not done, except that a torn write does half of it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

struct control {
    int64_t armed;    /* 0 nothing fails, 1 the k-th call fails, 2 it and all after it */
    int64_t k;        /* from 1 */
    int64_t error;    /* errno of what fails */
    int64_t torn;     /* a failing write does half of its work */
    int64_t syncs;    /* only calls that bring to the disk are counted and fail */
    int64_t seen;     /* calls since it was armed */
    int64_t hits;     /* calls that failed */
    int64_t spoilt;   /* 1 + the descriptor whose sync failed last, until it is closed; 0 for none */
    int64_t reused;   /* changes through a descriptor whose sync had failed */
    char what[16];    /* the first call that failed */
    char where[240];  /* and its file, without the folder */
};

static struct control *control;
static const char *under;
static size_t under_length;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("FAILING_CONTROL");
    under = getenv("FAILING_UNDER");
    if (!name || !under) return;
    under_length = strlen(under);
    int file = (int)syscall(257 /* openat */, AT_FDCWD, name, O_RDWR | O_CLOEXEC);
    if (file < 0) return;
    void *found = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (found != MAP_FAILED) control = found;
    syscall(3 /* close */, file);
}

static int below(const char *path) {
    return path && !strncmp(path, under, under_length) && (path[under_length] == '/' || !path[under_length]);
}

/* Returns whether this call is one to fail, and sets errno. */
static int fails(const char *what, const char *path, int fd) {
    char name[PATH_MAX];
    int before = errno;
    if (!control || !__atomic_load_n(&control->armed, __ATOMIC_ACQUIRE)) return 0;
    if (!path) {
        char link[40];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, name, sizeof name - 1);
        errno = before;
        if (length < 0) return 0;
        name[length] = 0;
        path = name;
    }
    if (!below(path)) return 0;
    if (fd >= 0 && control->spoilt == fd + 1) control->reused++;
    if (control->syncs && !strstr(what, "sync")) return 0;
    int64_t number = __atomic_add_fetch(&control->seen, 1, __ATOMIC_SEQ_CST);
    if (number != control->k && !(control->armed == 2 && number > control->k)) return 0;
    if (!__atomic_fetch_add(&control->hits, 1, __ATOMIC_SEQ_CST)) {
        snprintf(control->what, sizeof control->what, "%s", what);
        snprintf(control->where, sizeof control->where, "%s", path + under_length);
    }
    if (fd >= 0 && strstr(what, "sync")) control->spoilt = fd + 1;
    errno = (int)control->error;
    return 1;
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define WRITING(name, offset_type) \
    ssize_t name(int fd, const void *data, size_t count, offset_type offset) { \
        REAL(name); \
        if (!fails("pwrite", NULL, fd)) return real(fd, data, count, offset); \
        if (control->torn && count > 1) real(fd, data, count / 2, offset); \
        errno = (int)control->error; \
        return -1; \
    }
WRITING(pwrite, off_t)
WRITING(pwrite64, off64_t)

ssize_t write(int fd, const void *data, size_t count) {
    REAL(write);
    if (!fails("write", NULL, fd)) return real(fd, data, count);
    if (control->torn && count > 1) real(fd, data, count / 2);
    errno = (int)control->error;
    return -1;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev);
    return fails("writev", NULL, fd) ? -1 : real(fd, parts, count);
}

ssize_t sendfile(int to, int from, off_t *offset, size_t count);
ssize_t sendfile(int to, int from, off_t *offset, size_t count) {
    REAL(sendfile);
    return fails("sendfile", NULL, to) ? -1 : real(to, from, offset, count);
}

ssize_t sendfile64(int to, int from, off64_t *offset, size_t count);
ssize_t sendfile64(int to, int from, off64_t *offset, size_t count) {
    REAL(sendfile64);
    return fails("sendfile", NULL, to) ? -1 : real(to, from, offset, count);
}

int fsync(int fd) {
    REAL(fsync);
    return fails("fsync", NULL, fd) ? -1 : real(fd);
}

int fdatasync(int fd) {
    REAL(fdatasync);
    return fails("fdatasync", NULL, fd) ? -1 : real(fd);
}

int ftruncate(int fd, off_t size) {
    REAL(ftruncate);
    return fails("ftruncate", NULL, fd) ? -1 : real(fd, size);
}

int ftruncate64(int fd, off64_t size) {
    REAL(ftruncate64);
    return fails("ftruncate", NULL, fd) ? -1 : real(fd, size);
}

int posix_fallocate(int fd, off_t start, off_t size) {
    REAL(posix_fallocate);
    return fails("fallocate", NULL, fd) ? (int)control->error : real(fd, start, size);
}

int posix_fallocate64(int fd, off64_t start, off64_t size) {
    REAL(posix_fallocate64);
    return fails("fallocate", NULL, fd) ? (int)control->error : real(fd, start, size);
}

#define OPENING(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        if (flags & O_CREAT && fails("open", path, -1)) return -1; \
        return real(path, flags, mode); \
    }
OPENING(open)
OPENING(open64)

#define OPENING_AT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        REAL(name); \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        if (flags & O_CREAT && fails("open", path, -1)) return -1; \
        return real(folder, path, flags, mode); \
    }
OPENING_AT(openat)
OPENING_AT(openat64)

int rename(const char *from, const char *to) {
    REAL(rename);
    return fails("rename", to, -1) ? -1 : real(from, to);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    REAL(renameat);
    return fails("rename", to, -1) ? -1 : real(from_folder, from, to_folder, to);
}

int link(const char *from, const char *to) {
    REAL(link);
    return fails("link", to, -1) ? -1 : real(from, to);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    REAL(linkat);
    return fails("link", to, -1) ? -1 : real(from_folder, from, to_folder, to, flags);
}

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    return fails("mkdir", path, -1) ? -1 : real(path, mode);
}

int mkdirat(int folder, const char *path, mode_t mode) {
    REAL(mkdirat);
    return fails("mkdir", path, -1) ? -1 : real(folder, path, mode);
}

int unlink(const char *path) {
    REAL(unlink);
    return fails("unlink", path, -1) ? -1 : real(path);
}

int close(int fd) {
    REAL(close);
    if (control && control->spoilt == fd + 1) control->spoilt = 0;
    return real(fd);
}
