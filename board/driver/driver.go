// Package driver loads drivers that are modules of the kernel, where no udev does.
package driver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// maxName bounds the name of a module, in bytes (linux/module.h: MODULE_NAME_LEN).
const maxName = 56

// Wifi are the drivers of the radios in Raspberry Pis: the common one, and its parts for
// each maker's firmware, which it asks for by itself.
func Wifi() []string { return []string{"brcmfmac"} }

// Load loads a module of the running kernel, and before it those that it needs. The error
// is fs.ErrNotExist when the kernel has no such module.
func Load(name string) error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err
	}
	dir := path.Join("/lib/modules", unix.ByteSliceToString(u.Release[:]))
	files, err := chain(os.DirFS(dir), name)
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := insert(path.Join(dir, file)); err != nil {
			return fmt.Errorf("load %s: %w", file, err)
		}
	}
	return nil
}

func insert(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

// chain returns the files of a module and of what it needs, in the order in which they
// are loaded (depmod(8): modules.dep).
func chain(dir fs.FS, name string) ([]string, error) {
	name = plain(name)
	if name == "" || len(name) > maxName {
		return nil, fmt.Errorf("load %q: %w", name, fs.ErrNotExist)
	}
	b, err := fs.ReadFile(dir, "modules.dep")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		file, needs, ok := strings.Cut(line, ":")
		if base, _, isModule := strings.Cut(path.Base(file), ".ko"); !ok || !isModule || plain(base) != name {
			continue
		}
		files := []string{file}
		for _, need := range strings.Fields(needs) { // the nearest first
			files = append([]string{need}, files...)
		}
		return files, nil
	}
	return nil, fmt.Errorf("load %s: %w", name, fs.ErrNotExist)
}

// plain is the name of a module as the kernel compares it.
func plain(name string) string { return strings.ReplaceAll(name, "-", "_") }

// AsModprobe does what the kernel asks of its helper: "-q -- NAME", in the program that
// Register named. It returns false when the arguments are others.
func AsModprobe(args []string) (asked bool, err error) {
	if len(args) != 3 || args[0] != "-q" || args[1] != "--" {
		return false, nil
	}
	return true, Load(args[2])
}

// Register has the kernel call a program for modules that it wants itself.
func Register(program string) error {
	return os.WriteFile("/proc/sys/kernel/modprobe", []byte(program), 0o644)
}
