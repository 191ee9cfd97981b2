package slot

import (
	"syscall"
	"unsafe"
)

// rebootWith restarts with an argument for the firmware (reboot(2), LINUX_REBOOT_CMD_RESTART2).
func rebootWith(command string) error {
	b, err := syscall.BytePtrFromString(command)
	if err != nil {
		return err
	}
	_, _, e := syscall.Syscall6(syscall.SYS_REBOOT, syscall.LINUX_REBOOT_MAGIC1, syscall.LINUX_REBOOT_MAGIC2,
		syscall.LINUX_REBOOT_CMD_RESTART2, uintptr(unsafe.Pointer(b)), 0, 0)
	if e != 0 {
		return e
	}
	return nil
}
