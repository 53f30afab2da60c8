/* Keeps what a process writes in its own memory until it syncs, so that kill -9 is a power failure (see unsynced.rs).
 *
 * UNSYNCED_FOLDER  regular files below this folder are meant; those that end in "-shm" are left alone
 * UNSYNCED_SEED    not 0: now and then a random page is written early, as a kernel does
 *
 * A file is known by device and inode, so that all descriptors of it see the same. What is not on the disk yet is held in
 * pages of 4 KiB, each whole: what the disk has is read when a page is first written to. A file that was cut has a `floor`:
 * what the disk still has from there on counts as zeros.
 *
 * A process that ends by exit() leaves everything to the disk, as the kernel would. Memory maps and io_uring are not seen. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096
#define BUCKETS 4096
#define DESCRIPTORS 65536
#define NO_FLOOR INT64_MAX
/* One of so many writes is followed by an early write of one page. */
#define EARLY 4

struct page {
    int64_t index;
    struct page *next; /* in its bucket */
    size_t slot;       /* in `pages` */
    unsigned char bytes[PAGE];
};

struct file {
    dev_t dev;
    ino_t ino;
    struct file *next;
    pthread_mutex_t lock;
    int fd;         /* our own; never closed: closing it would drop the process' POSIX locks, and it keeps the inode */
    int dirty;      /* the fields below are in force */
    int64_t size;   /* as the process sees it */
    int64_t floor;  /* the disk's bytes from here on are void */
    struct page **pages, *buckets[BUCKETS];
    size_t count, room;
};

static char folder[PATH_MAX];
static size_t folder_length;
static uint64_t seed;
static struct file *files;
static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;
/* What is known of a descriptor: NULL nothing, OTHER not one of ours. */
static _Atomic(struct file *) known[DESCRIPTORS];
static struct file other;
#define OTHER (&other)

/* ------------------------------------------------------------------ the system itself */

static int sys_fstat(int fd, struct stat *st) { return syscall(SYS_newfstatat, fd, "", st, AT_EMPTY_PATH); }
static ssize_t sys_pread(int fd, void *to, size_t n, int64_t at) { return syscall(SYS_pread64, fd, to, n, at); }
static int sys_ftruncate(int fd, int64_t size) { return syscall(SYS_ftruncate, fd, size); }
static int64_t sys_lseek(int fd, int64_t at, int whence) { return syscall(SYS_lseek, fd, at, whence); }

static int write_all(int fd, const unsigned char *from, size_t n, int64_t at) {
    while (n > 0) {
        ssize_t done = syscall(SYS_pwrite64, fd, from, n, at);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return -1;
        from += done, n -= done, at += done;
    }
    return 0;
}

/* Up to n bytes; fewer only at the end of the file. */
static ssize_t read_all(int fd, unsigned char *to, size_t n, int64_t at) {
    size_t got = 0;
    while (got < n) {
        ssize_t done = sys_pread(fd, to + got, n - got, at + got);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return -1;
        if (done == 0) break;
        got += done;
    }
    return got;
}

/* ------------------------------------------------------------------ pages of a file */

static struct page *find_page(struct file *f, int64_t index) {
    struct page *p = f->buckets[index % BUCKETS];
    while (p && p->index != index) p = p->next;
    return p;
}

/* What the disk has, as far as it counts; zeros elsewhere. */
static int read_disk(struct file *f, unsigned char *to, size_t n, int64_t at) {
    memset(to, 0, n);
    if (at >= f->floor) return 0;
    if ((int64_t)n > f->floor - at) n = f->floor - at;
    return read_all(f->fd, to, n, at) < 0 ? -1 : 0;
}

static struct page *need_page(struct file *f, int64_t index) {
    struct page *p = find_page(f, index);
    if (p) return p;
    if (f->count == f->room) {
        size_t room = f->room ? 2 * f->room : 64;
        struct page **pages = realloc(f->pages, room * sizeof *pages);
        if (!pages) return NULL;
        f->pages = pages, f->room = room;
    }
    if (!(p = malloc(sizeof *p))) return NULL;
    if (read_disk(f, p->bytes, PAGE, index * PAGE) < 0) return free(p), NULL;
    p->index = index;
    p->slot = f->count;
    f->pages[f->count++] = p;
    p->next = f->buckets[index % BUCKETS];
    f->buckets[index % BUCKETS] = p;
    return p;
}

static void drop_page(struct file *f, struct page *p) {
    struct page **at = &f->buckets[p->index % BUCKETS];
    while (*at != p) at = &(*at)->next;
    *at = p->next;
    f->pages[p->slot] = f->pages[--f->count];
    f->pages[p->slot]->slot = p->slot;
    free(p);
}

/* The cut itself must be on the disk before anything behind it is. */
static int write_floor(struct file *f) {
    struct stat st;
    if (f->floor == NO_FLOOR) return 0;
    if (sys_fstat(f->fd, &st) < 0) return -1;
    if (st.st_size > f->floor && sys_ftruncate(f->fd, f->floor) < 0) return -1;
    f->floor = NO_FLOOR;
    return 0;
}

static int write_page(struct file *f, struct page *p) {
    int64_t at = p->index * PAGE, n = f->size - at < PAGE ? f->size - at : PAGE;
    if (write_floor(f) < 0 || (n > 0 && write_all(f->fd, p->bytes, n, at) < 0)) return -1;
    drop_page(f, p);
    return 0;
}

static int write_everything(struct file *f) {
    if (!f->dirty) return 0;
    if (write_floor(f) < 0) return -1;
    while (f->count > 0)
        if (write_page(f, f->pages[f->count - 1]) < 0) return -1;
    struct stat st;
    if (sys_fstat(f->fd, &st) < 0 || (st.st_size != f->size && sys_ftruncate(f->fd, f->size) < 0)) return -1;
    f->dirty = 0;
    return 0;
}

/* ------------------------------------------------------------------ files */

static int below_folder(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= (ssize_t)folder_length || strncmp(path, folder, folder_length) != 0 || path[folder_length] != '/') return 0;
    return !(n >= 4 && memcmp(path + n - 4, "-shm", 4) == 0);
}

/* The file of a descriptor, if it is one of ours. */
static struct file *file_of(int fd) {
    if (folder_length == 0 || fd < 0) return NULL;
    struct file *f = fd < DESCRIPTORS ? atomic_load(&known[fd]) : NULL;
    if (f) return f == OTHER ? NULL : f;
    int saved = errno;
    struct stat st;
    if (sys_fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && below_folder(fd)) {
        pthread_mutex_lock(&files_lock);
        for (f = files; f && (f->dev != st.st_dev || f->ino != st.st_ino); f = f->next) {}
        if (!f && (f = calloc(1, sizeof *f))) {
            f->dev = st.st_dev, f->ino = st.st_ino, f->fd = -1, f->next = files;
            pthread_mutex_init(&f->lock, NULL);
            files = f;
        }
        pthread_mutex_unlock(&files_lock);
    }
    if (fd < DESCRIPTORS) atomic_store(&known[fd], f ? f : OTHER);
    errno = saved;
    return f;
}

static void forget(int fd) {
    if (fd >= 0 && fd < DESCRIPTORS) atomic_store(&known[fd], NULL);
}

/* Before the first change since the last sync. */
static int make_dirty(struct file *f, int fd) {
    struct stat st;
    if (f->dirty) return 0;
    if (f->fd < 0) {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        if ((f->fd = syscall(SYS_openat, AT_FDCWD, link, O_RDWR | O_CLOEXEC)) < 0) return -1;
    }
    if (sys_fstat(f->fd, &st) < 0) return -1;
    f->size = st.st_size, f->floor = NO_FLOOR, f->dirty = 1;
    return 0;
}

static int64_t size_of(struct file *f, int fd) {
    struct stat st;
    if (f->dirty) return f->size;
    return sys_fstat(fd, &st) < 0 ? -1 : st.st_size;
}

static uint64_t next_random(void) {
    static _Atomic uint64_t state;
    uint64_t z = seed * 0x9e3779b97f4a7c15u + (atomic_fetch_add(&state, 1) + 1) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* The operations below are called with the file's lock. */

static ssize_t put(struct file *f, int fd, const unsigned char *from, size_t n, int64_t at) {
    if (at < 0) return errno = EINVAL, -1;
    if (make_dirty(f, fd) < 0) return -1;
    for (size_t done = 0; done < n;) {
        int64_t place = at + done;
        size_t part = PAGE - place % PAGE;
        if (part > n - done) part = n - done;
        struct page *p = need_page(f, place / PAGE);
        if (!p) return done ? (ssize_t)done : (errno = ENOSPC, -1);
        memcpy(p->bytes + place % PAGE, from + done, part);
        done += part;
        if (f->size < place + (int64_t)part) f->size = place + part;
    }
    if (seed && f->count > 0 && next_random() % EARLY == 0) write_page(f, f->pages[next_random() % f->count]);
    return n;
}

static ssize_t get(struct file *f, int fd, unsigned char *to, size_t n, int64_t at) {
    if (!f->dirty) return sys_pread(fd, to, n, at);
    if (at < 0) return errno = EINVAL, -1;
    if (at >= f->size) return 0;
    if ((int64_t)n > f->size - at) n = f->size - at;
    for (size_t done = 0; done < n;) {
        int64_t place = at + done;
        size_t part = PAGE - place % PAGE;
        if (part > n - done) part = n - done;
        struct page *p = find_page(f, place / PAGE);
        if (p) memcpy(to + done, p->bytes + place % PAGE, part);
        else if (read_disk(f, to + done, part, place) < 0) return -1;
        done += part;
    }
    return n;
}

static int cut(struct file *f, int fd, int64_t size) {
    if (size < 0) return errno = EINVAL, -1;
    if (make_dirty(f, fd) < 0) return -1;
    if (size < f->size) {
        for (size_t i = f->count; i-- > 0;)
            if (f->pages[i]->index * PAGE >= size) drop_page(f, f->pages[i]);
        struct page *last = find_page(f, size / PAGE);
        if (last) memset(last->bytes + size % PAGE, 0, PAGE - size % PAGE);
        if (size < f->floor) f->floor = size;
    }
    f->size = size;
    return 0;
}

static int sync_file(struct file *f, int fd, long call) {
    return write_everything(f) < 0 ? -1 : (int)syscall(call, fd);
}

/* At the descriptor's own offset. */
static ssize_t put_here(struct file *f, int fd, const unsigned char *from, size_t n) {
    int append = fcntl(fd, F_GETFL) & O_APPEND;
    int64_t at = append ? size_of(f, fd) : sys_lseek(fd, 0, SEEK_CUR);
    if (at < 0) return -1;
    ssize_t done = put(f, fd, from, n, at);
    if (done > 0) sys_lseek(fd, at + done, SEEK_SET);
    return done;
}

static ssize_t get_here(struct file *f, int fd, unsigned char *to, size_t n) {
    int64_t at = sys_lseek(fd, 0, SEEK_CUR);
    if (at < 0) return -1;
    ssize_t done = get(f, fd, to, n, at);
    if (done > 0) sys_lseek(fd, at + done, SEEK_SET);
    return done;
}

/* ------------------------------------------------------------------ what the process calls */

#define EXPORT __attribute__((visibility("default")))
#define LOCKED(file, type, expression) \
    do { \
        pthread_mutex_lock(&(file)->lock); \
        type result = (expression); \
        pthread_mutex_unlock(&(file)->lock); \
        return result; \
    } while (0)

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("UNSYNCED_FOLDER"), *number = getenv("UNSYNCED_SEED");
    if (!path || strlen(path) >= sizeof folder) return;
    seed = number ? strtoull(number, NULL, 10) : 0;
    strcpy(folder, path);
    folder_length = strlen(folder);
}

__attribute__((destructor)) static void end(void) {
    pthread_mutex_lock(&files_lock);
    for (struct file *f = files; f; f = f->next) {
        pthread_mutex_lock(&f->lock);
        write_everything(f);
        pthread_mutex_unlock(&f->lock);
    }
    pthread_mutex_unlock(&files_lock);
}

static int open_at(int directory, const char *path, int flags, mode_t mode) {
    if (folder_length == 0) return syscall(SYS_openat, directory, path, flags, mode);
    int fd = syscall(SYS_openat, directory, path, flags & ~O_TRUNC, mode);
    forget(fd);
    if (fd < 0 || !(flags & O_TRUNC)) return fd;
    struct file *f = file_of(fd);
    struct stat st;
    if (f) {
        pthread_mutex_lock(&f->lock);
        if (size_of(f, fd) > 0) cut(f, fd, 0);
        pthread_mutex_unlock(&f->lock);
    } else if (sys_fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        sys_ftruncate(fd, 0);
    }
    return fd;
}

#define MODE(flags) ({ mode_t m = 0; if ((flags) & (O_CREAT | __O_TMPFILE)) { va_list a; va_start(a, flags); m = va_arg(a, mode_t); va_end(a); } m; })
EXPORT int open(const char *path, int flags, ...) { return open_at(AT_FDCWD, path, flags, MODE(flags)); }
EXPORT int open64(const char *path, int flags, ...) { return open_at(AT_FDCWD, path, flags, MODE(flags)); }
EXPORT int openat(int dir, const char *path, int flags, ...) { return open_at(dir, path, flags, MODE(flags)); }
EXPORT int openat64(int dir, const char *path, int flags, ...) { return open_at(dir, path, flags, MODE(flags)); }
EXPORT int close(int fd) { forget(fd); return syscall(SYS_close, fd); }
EXPORT int dup2(int from, int to) { if (from != to) forget(to); return from == to ? fcntl(from, F_GETFD) < 0 ? -1 : to : (int)syscall(SYS_dup3, from, to, 0); }
EXPORT int dup3(int from, int to, int flags) { forget(to); return syscall(SYS_dup3, from, to, flags); }

EXPORT ssize_t pwrite64(int fd, const void *from, size_t n, off_t at) {
    struct file *f = file_of(fd);
    if (!f) return syscall(SYS_pwrite64, fd, from, n, at);
    LOCKED(f, ssize_t, put(f, fd, from, n, at));
}
EXPORT ssize_t pwrite(int fd, const void *from, size_t n, off_t at) { return pwrite64(fd, from, n, at); }

EXPORT ssize_t pread64(int fd, void *to, size_t n, off_t at) {
    struct file *f = file_of(fd);
    if (!f) return sys_pread(fd, to, n, at);
    LOCKED(f, ssize_t, get(f, fd, to, n, at));
}
EXPORT ssize_t pread(int fd, void *to, size_t n, off_t at) { return pread64(fd, to, n, at); }

EXPORT ssize_t write(int fd, const void *from, size_t n) {
    struct file *f = file_of(fd);
    if (!f) return syscall(SYS_write, fd, from, n);
    LOCKED(f, ssize_t, put_here(f, fd, from, n));
}

EXPORT ssize_t read(int fd, void *to, size_t n) {
    struct file *f = file_of(fd);
    if (!f) return syscall(SYS_read, fd, to, n);
    LOCKED(f, ssize_t, get_here(f, fd, to, n));
}

/* Vectors, one element after the other; `at` is -1 for the descriptor's own offset. */
#define EACH(call_here, call_at) \
    ssize_t total = 0; \
    for (int i = 0; i < count; i++) { \
        ssize_t done = at < 0 ? call_here(fd, vector[i].iov_base, vector[i].iov_len) \
                              : call_at(fd, vector[i].iov_base, vector[i].iov_len, at + total); \
        if (done < 0) return total ? total : -1; \
        total += done; \
        if ((size_t)done < vector[i].iov_len) break; \
    } \
    return total
static ssize_t write_each(int fd, const struct iovec *vector, int count, off_t at) { EACH(write, pwrite64); }
static ssize_t read_each(int fd, const struct iovec *vector, int count, off_t at) { EACH(read, pread64); }
EXPORT ssize_t writev(int fd, const struct iovec *v, int n) { return file_of(fd) ? write_each(fd, v, n, -1) : syscall(SYS_writev, fd, v, n); }
EXPORT ssize_t readv(int fd, const struct iovec *v, int n) { return file_of(fd) ? read_each(fd, v, n, -1) : syscall(SYS_readv, fd, v, n); }
EXPORT ssize_t pwritev64(int fd, const struct iovec *v, int n, off_t at) { return file_of(fd) ? write_each(fd, v, n, at) : syscall(SYS_pwritev, fd, v, n, at, 0); }
EXPORT ssize_t preadv64(int fd, const struct iovec *v, int n, off_t at) { return file_of(fd) ? read_each(fd, v, n, at) : syscall(SYS_preadv, fd, v, n, at, 0); }
EXPORT ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at) { return pwritev64(fd, v, n, at); }
EXPORT ssize_t preadv(int fd, const struct iovec *v, int n, off_t at) { return preadv64(fd, v, n, at); }

EXPORT off_t lseek64(int fd, off_t at, int whence) {
    struct file *f = whence == SEEK_END ? file_of(fd) : NULL;
    if (!f) return sys_lseek(fd, at, whence);
    LOCKED(f, off_t, sys_lseek(fd, size_of(f, fd) + at, SEEK_SET));
}
EXPORT off_t lseek(int fd, off_t at, int whence) { return lseek64(fd, at, whence); }

EXPORT int ftruncate64(int fd, off_t size) {
    struct file *f = file_of(fd);
    if (!f) return sys_ftruncate(fd, size);
    LOCKED(f, int, cut(f, fd, size));
}
EXPORT int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

EXPORT int posix_fallocate64(int fd, off_t at, off_t n) {
    struct file *f = file_of(fd);
    if (!f) return syscall(SYS_fallocate, fd, 0, at, n) < 0 ? errno : 0;
    LOCKED(f, int, size_of(f, fd) < at + n && cut(f, fd, at + n) < 0 ? errno : 0);
}
EXPORT int posix_fallocate(int fd, off_t at, off_t n) { return posix_fallocate64(fd, at, n); }

EXPORT int fsync(int fd) {
    struct file *f = file_of(fd);
    if (!f) return syscall(SYS_fsync, fd);
    LOCKED(f, int, sync_file(f, fd, SYS_fsync));
}
EXPORT int fdatasync(int fd) {
    struct file *f = file_of(fd);
    if (!f) return syscall(SYS_fdatasync, fd);
    LOCKED(f, int, sync_file(f, fd, SYS_fdatasync));
}

/* Copies inside the kernel would not see the pages: the caller reads and writes instead. */
EXPORT ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t n, unsigned flags) {
    if (file_of(in) || file_of(out)) return errno = ENOSYS, -1;
    return syscall(SYS_copy_file_range, in, in_at, out, out_at, n, flags);
}
EXPORT ssize_t sendfile64(int out, int in, off64_t *at, size_t n) {
    if (file_of(in) || file_of(out)) return errno = ENOSYS, -1;
    return syscall(SYS_sendfile, out, in, at, n);
}
EXPORT ssize_t sendfile(int out, int in, off_t *at, size_t n) { return sendfile64(out, in, at, n); }

/* The size that the process has written, if there is one. */
static int64_t pending_size(dev_t dev, ino_t ino) {
    int64_t size = -1;
    if (folder_length == 0) return size;
    pthread_mutex_lock(&files_lock);
    struct file *f = files;
    while (f && (f->dev != dev || f->ino != ino)) f = f->next;
    pthread_mutex_unlock(&files_lock);
    if (!f) return size;
    pthread_mutex_lock(&f->lock);
    if (f->dirty) size = f->size;
    pthread_mutex_unlock(&f->lock);
    return size;
}

static int stat_at(int dir, const char *path, struct stat *st, int flags) {
    int result = syscall(SYS_newfstatat, dir, path, st, flags);
    int64_t size = result == 0 && S_ISREG(st->st_mode) ? pending_size(st->st_dev, st->st_ino) : -1;
    if (size >= 0) st->st_size = size;
    return result;
}
/* On the 64-bit systems that Sockeye is built for, both structures are the same. */
_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "a 64-bit system");
#define ST(pointer) ((struct stat *)(pointer))
EXPORT int fstat(int fd, struct stat *st) { return stat_at(fd, "", st, AT_EMPTY_PATH); }
EXPORT int fstat64(int fd, struct stat64 *st) { return stat_at(fd, "", ST(st), AT_EMPTY_PATH); }
EXPORT int stat(const char *path, struct stat *st) { return stat_at(AT_FDCWD, path, st, 0); }
EXPORT int stat64(const char *path, struct stat64 *st) { return stat_at(AT_FDCWD, path, ST(st), 0); }
EXPORT int lstat(const char *path, struct stat *st) { return stat_at(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW); }
EXPORT int lstat64(const char *path, struct stat64 *st) { return stat_at(AT_FDCWD, path, ST(st), AT_SYMLINK_NOFOLLOW); }
EXPORT int fstatat(int dir, const char *path, struct stat *st, int flags) { return stat_at(dir, path, st, flags); }
EXPORT int fstatat64(int dir, const char *path, struct stat64 *st, int flags) { return stat_at(dir, path, ST(st), flags); }
EXPORT int statx(int dir, const char *path, int flags, unsigned mask, struct statx *st) {
    int result = syscall(SYS_statx, dir, path, flags, mask, st);
    if (result != 0 || !S_ISREG(st->stx_mode)) return result;
    dev_t dev = ((dev_t)(st->stx_dev_major & 0xfffff000u) << 32) | ((dev_t)(st->stx_dev_major & 0xfffu) << 8)
        | ((dev_t)(st->stx_dev_minor & 0xffffff00u) << 12) | (st->stx_dev_minor & 0xffu);
    int64_t size = pending_size(dev, st->stx_ino);
    if (size >= 0) st->stx_size = size;
    return result;
}
