package card

import (
	"os"
	"syscall"
)

// dontNeed is POSIX_FADV_DONTNEED.
const dontNeed = 4

// forget drops what the kernel remembers of a file that is synced, so that it is read
// from the card itself. Where that is refused, reading back still finds what went
// wrong on the way to the kernel.
func forget(f *os.File) {
	syscall.Syscall6(syscall.SYS_FADVISE64, f.Fd(), 0, 0, dontNeed, 0, 0)
}
