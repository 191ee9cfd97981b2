//go:build !amd64

package vmtest

const setns = 268 // number of the system call (linux, asm-generic/unistd.h)
