package vmtest

const setns = 308 // number of the system call (linux, asm/unistd_64.h)
