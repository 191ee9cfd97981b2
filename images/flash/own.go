package flash

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"redhen/images/card"
	"redhen/images/layout"
	"redhen/images/slot"
)

// Own is a running box, as far as another card is made from its slot.
type Own struct {
	layout.About
	Slot layout.Slot
	Boot fs.FS  // its FAT
	Root string // device or file of the slot's root
	Room string // folder for the image while it is written; it is large
}

// OwnOf is a running box by what its card says: boot is where the FAT is mounted.
func OwnOf(running layout.About, s layout.Slot, boot, root, room string) Own {
	return Own{About: running, Slot: s, Boot: os.DirFS(boot), Root: root, Room: room}
}

// Image makes an image of the slot that runs, as slot a. It has none of the box's
// settings, secrets or data. The file is gone when it is closed.
func (o Own) Image(ctx context.Context) (*os.File, error) {
	files, err := o.files()
	if err != nil {
		return nil, fmt.Errorf("image of this box: %w", err)
	}
	f, err := os.CreateTemp(o.Room, "redhen-image-")
	if err != nil {
		return nil, fmt.Errorf("image of this box: %w", err)
	}
	os.Remove(f.Name())
	err = errors.Join(f.Truncate(layout.ImageSize), layout.WriteTable(f, o.Board, layout.ImageSize))
	if err == nil {
		err = card.MakeFAT(f, layout.Part(layout.BootPart), files, time.Unix(int64(o.Number), 0).UTC())
	}
	if err == nil {
		err = o.copyRoot(ctx, io.NewOffsetWriter(f, layout.Part(layout.A.RootPart()).Start))
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("image of this box: %w", err)
	}
	return f, nil
}

// Files of the FAT that every card has, whatever its slot: boot loader and firmware.
var common = []string{"EFI/BOOT/*.EFI", "loader/loader.conf", "README.txt", "bootcode.bin", "start*.elf", "fixup*.dat"}

// files are those of the new card's FAT.
func (o Own) files() (map[string][]byte, error) {
	all := map[string][]byte{}
	for _, pattern := range common {
		names, err := fs.Glob(o.Boot, pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if all[name], err = o.read(name); err != nil {
				return nil, err
			}
		}
	}
	from := o.Slot.Dir()
	err := fs.WalkDir(o.Boot, from, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := o.read(name)
		all[layout.A.Dir()+strings.TrimPrefix(name, from)] = b
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, o.starters(all)
}

// starters adds the files that lead to slot a.
func (o Own) starters(all map[string][]byte) error {
	line, err := o.line()
	if err != nil {
		return err
	}
	name, entry := slot.Entry(layout.A, o.Release, 1, line)
	all[path.Join(layout.EntriesDir, name)] = entry
	pi := path.Join(layout.A.Dir(), layout.CmdlineTxt)
	if b, ok := all[pi]; ok {
		all[pi] = []byte(layout.Relined(string(b), layout.A) + "\n")
		all[layout.CmdlineTxt] = all[pi]
		all[layout.ConfigTxt] = slot.PiConfig(layout.A)
	}
	return nil
}

// line is the kernel's command line from the entry of the slot that runs, for slot a.
func (o Own) line() (string, error) {
	names, err := fs.Glob(o.Boot, layout.EntriesDir+"/redhen-"+string(o.Slot)+"*.conf")
	if err != nil || len(names) == 0 {
		return "", errors.Join(err, fmt.Errorf("no entry of slot %s", o.Slot))
	}
	b, err := o.read(names[0])
	if err != nil {
		return "", err
	}
	for l := range strings.Lines(string(b)) {
		if line, ok := strings.CutPrefix(strings.TrimSpace(l), "options "); ok {
			return layout.Relined(line, layout.A), nil
		}
	}
	return "", fmt.Errorf("the entry of slot %s has no command line", o.Slot)
}

func (o Own) read(name string) ([]byte, error) {
	st, err := fs.Stat(o.Boot, name)
	if err != nil {
		return nil, err
	}
	if st.Size() > card.MaxFile {
		return nil, fmt.Errorf("%s has %d bytes", name, st.Size())
	}
	return fs.ReadFile(o.Boot, name)
}

// copyRoot copies the squashfs of the slot, and not what older ones left behind it.
func (o Own) copyRoot(ctx context.Context, to io.Writer) error {
	in, err := os.Open(o.Root)
	if err != nil {
		return err
	}
	defer in.Close()
	size, err := squashSize(in)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, &stopped{ctx, io.NewSectionReader(in, 0, size)})
	return err
}

// squashSize reads the size of a squashfs from its head, in whole KiB
// (Documentation/filesystems/squashfs.rst; bytes_used).
func squashSize(r io.ReaderAt) (int64, error) {
	var head [96]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return 0, err
	}
	size := int64(binary.LittleEndian.Uint64(head[40:]))
	if string(head[:4]) != "hsqs" || size < int64(len(head)) || size > layout.RootSize {
		return 0, errors.New("the root of this box is no squashfs that fits a slot")
	}
	return (size + 4095) &^ 4095, nil // mksquashfs fills the last 4 KiB
}
