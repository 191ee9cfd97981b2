package wifilab

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ulikunitz/xz"

	"redhen/images/debian"
)

// kernel is Debian's, with the modules that the lab wants in the order in which they are
// loaded. A module that is built in is none.
type kernel struct {
	path    string // of the kernel
	order   []string
	modules map[string][]byte // by name without ending
}

// wanted are the modules that the lab asks for; what they need comes by itself.
func wanted() []string {
	return []string{
		"virtio_pci", "virtio_blk", "virtio_rng", "squashfs", "ext4", "crc32c_generic", "vfat", "nls_cp437", "nls_ascii", "nls_utf8", "nls_iso8859-1",
		"aes_generic", "ctr", "ccm", "gcm", "cmac", "af_packet", "mac80211_hwsim",
	}
}

// fetchKernel gets the kernel into a folder, once.
func fetchKernel(ctx context.Context, dir string) (*kernel, error) {
	done := filepath.Join(dir, "done")
	if _, err := os.Stat(done); err != nil {
		s := &debian.Store{Unpinned: true}
		meta, err := s.Get(ctx, "amd64", "linux-image-amd64")
		if err != nil {
			return nil, err
		}
		depends, err := debian.About(ctx, meta[0], "Depends")
		if err != nil {
			return nil, err
		}
		name, _, _ := strings.Cut(depends, " ")
		image, err := s.Get(ctx, "amd64", name)
		if err != nil {
			return nil, err
		}
		if err := os.RemoveAll(dir); err != nil {
			return nil, err
		}
		if err := errors.Join(debian.Unpack(ctx, image[0], dir), os.Remove(image[0])); err != nil {
			return nil, err
		}
		if err := os.WriteFile(done, nil, 0o644); err != nil {
			return nil, err
		}
	}
	found, err := filepath.Glob(filepath.Join(dir, "boot/vmlinuz-*"))
	if err != nil || len(found) != 1 {
		return nil, fmt.Errorf("the kernel's package has %d kernels", len(found))
	}
	k := &kernel{path: found[0], modules: map[string][]byte{}}
	return k, k.collect(dir)
}

// collect finds the wanted modules and what they need.
func (k *kernel) collect(dir string) error {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if name, _, ok := strings.Cut(filepath.Base(path), ".ko"); ok && err == nil && !d.IsDir() {
			files[moduleName(name)] = path
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, name := range wanted() {
		if err := k.add(moduleName(name), files); err != nil {
			return err
		}
	}
	if !slices.Contains(k.order, "mac80211_hwsim") {
		return errors.New("the kernel has no simulated radios")
	}
	return nil
}

func moduleName(s string) string { return strings.ReplaceAll(s, "-", "_") }

// add adds a module after those that it needs.
func (k *kernel) add(name string, files map[string]string) error {
	path, ok := files[name]
	if _, have := k.modules[name]; have || !ok {
		return nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if strings.HasSuffix(path, ".xz") {
		r, err := xz.NewReader(bytes.NewReader(b))
		if err != nil {
			return err
		}
		if b, err = io.ReadAll(r); err != nil {
			return err
		}
	}
	needs, err := needsOf(b)
	if err != nil {
		return fmt.Errorf("module %s: %w", name, err)
	}
	k.modules[name] = b
	for _, n := range needs {
		if err := k.add(moduleName(n), files); err != nil {
			return err
		}
	}
	k.order = append(k.order, name)
	return nil
}

// needsOf reads from a module which others it needs.
func needsOf(module []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(module))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, errors.New("it says nothing of itself")
	}
	b, err := section.Data()
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Split(string(b), "\x00") {
		if list, ok := strings.CutPrefix(line, "depends="); ok && list != "" {
			return strings.Split(list, ","), nil
		}
	}
	return nil, nil
}

// archive writes files as the kernel takes its first root: cpio, "newc"
// (linux/Documentation/driver-api/early-userspace/buffer-format.rst).
type archive struct {
	bytes.Buffer
	dirs map[string]bool
}

const (
	folderMode  = 0o040755
	programMode = 0o100755
)

func (a *archive) put(name string, content []byte) {
	for i, r := range name {
		if dir := name[:i]; r == '/' && !a.dirs[dir] {
			a.dirs[dir] = true
			a.entry(dir, folderMode, nil)
		}
	}
	a.entry(name, programMode, content)
}

func (a *archive) entry(name string, mode int, content []byte) {
	fmt.Fprintf(a, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0, name)
	a.pad()
	a.Write(content)
	a.pad()
}

func (a *archive) pad() { a.Write(make([]byte, -a.Len()&3)) }

// end ends the archive.
func (a *archive) end() []byte {
	a.entry("TRAILER!!!", 0, nil)
	return a.Bytes()
}
