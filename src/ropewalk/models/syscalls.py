"""Numbers of the system calls that a confined process is denied, by machine."""

from __future__ import annotations

# One pair a name: x86_64, aarch64; -1 where the machine has no such call. Source: the kernel's
# arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
_TABLE = """
execve 59 221|execveat 322 281|fork 57 -1|vfork 58 -1|ptrace 101 117|process_vm_readv 310 270|process_vm_writev 311 271
kcmp 312 272|pidfd_open 434 434|pidfd_getfd 438 438|pidfd_send_signal 424 424|process_madvise 440 440
kill 62 129|tkill 200 130|rt_sigqueueinfo 129 138|rt_tgsigqueueinfo 297 240
socket 41 198|socketpair 53 199|connect 42 203|bind 49 200|listen 50 201|accept 43 202|accept4 288 242
io_uring_setup 425 425|io_uring_enter 426 426|io_uring_register 427 427
unshare 272 97|setns 308 268|mount 165 40|umount2 166 39|pivot_root 155 41|chroot 161 51|open_tree 428 428
move_mount 429 429|fsopen 430 430|fsconfig 431 431|fsmount 432 432|fspick 433 433|mount_setattr 442 442
name_to_handle_at 303 264|open_by_handle_at 304 265|quotactl 179 60|acct 163 89|swapon 167 224|swapoff 168 225
reboot 169 142|sethostname 170 161|setdomainname 171 162|iopl 172 -1|ioperm 173 -1|settimeofday 164 170
adjtimex 159 171|clock_settime 227 112|clock_adjtime 305 266|init_module 175 105|finit_module 313 273
delete_module 176 106|kexec_load 246 104|kexec_file_load 320 294|bpf 321 280|perf_event_open 298 241
fanotify_init 300 262|userfaultfd 323 282|add_key 248 217|request_key 249 218|keyctl 250 219
setuid 105 146|setgid 106 144|setreuid 113 145|setregid 114 143|setgroups 116 159|setresuid 117 147|setresgid 119 149
setfsuid 122 151|setfsgid 123 152|capset 126 91|personality 135 92|setpgid 109 154|setsid 112 157
shmget 29 194|msgget 68 186|semget 64 190|mq_open 240 180
chmod 90 -1|fchmod 91 52|fchmodat 268 53|fchmodat2 452 452|chown 92 -1|fchown 93 55|lchown 94 -1|fchownat 260 54
utime 132 -1|utimes 235 -1|futimesat 261 -1|utimensat 280 88|setxattr 188 5|lsetxattr 189 6|fsetxattr 190 7
removexattr 197 14|lremovexattr 198 15|fremovexattr 199 16
"""
# (The last rows change a file's owner, mode or times, which Landlock does not guard.)
# What changes the tree of files without an open: denied when nothing may be written.
_WRITERS = """
creat 85 -1|rename 82 -1|renameat 264 38|renameat2 316 276|mkdir 83 -1|mkdirat 258 34|rmdir 84 -1|link 86 -1
linkat 265 37|unlink 87 -1|unlinkat 263 35|symlink 88 -1|symlinkat 266 36|mknod 133 -1|mknodat 259 33|truncate 76 45
"""
# Calls whose arguments decide, or that the C library replaces by an older one when told that they do not exist.
_OTHERS = """
clone 56 220|clone3 435 435|open 2 -1|openat 257 56|openat2 437 437|tgkill 234 131|prlimit64 302 261|seccomp 317 277
"""

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_COLUMN = {"x86_64": 1, "aarch64": 2}


def _numbers(table: str, machine: str) -> dict[str, int]:
    column = _COLUMN[machine]
    rows = [row.split() for line in table.strip().splitlines() for row in line.split("|")]
    return {row[0]: int(row[column]) for row in rows if int(row[column]) >= 0}


def denied(machine: str) -> dict[str, int]:
    """Return the calls that are always denied, by name."""
    return _numbers(_TABLE, machine)


def writers(machine: str) -> dict[str, int]:
    """Return the calls that change files without opening one, by name."""
    return _numbers(_WRITERS, machine)


def others(machine: str) -> dict[str, int]:
    """Return the calls that are looked at more closely, by name."""
    return _numbers(_OTHERS, machine)
