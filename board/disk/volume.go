package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNoDisk says that a folder is on no disk: in memory, on the network, on several.
var ErrNoDisk = errors.New("not on a disk")

// Usage is the room of a file system, in bytes.
type Usage struct {
	Size      int64
	Used      int64
	Available int64 // for programs; less than Size-Used, as some is held back
	Files     int64 // files and folders that could still be made; 0 where there is no limit
	ReadOnly  bool
}

// Use asks the kernel for the room where a folder is.
func Use(dir string) (Usage, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return Usage{}, fmt.Errorf("room of %s: %w", dir, err)
	}
	unit := int64(s.Bsize)
	return Usage{
		Size: int64(s.Blocks) * unit, Used: int64(s.Blocks-s.Bfree) * unit, Available: int64(s.Bavail) * unit,
		Files: int64(s.Ffree), ReadOnly: s.Flags&unix.ST_RDONLY != 0,
	}, nil
}

// Volume is the file system that a folder is on.
type Volume struct {
	Mount      string // where it is mounted
	FileSystem string // "ext4"
	Device     string // "mmcblk0p4", or a whole disk
	ReadOnly   bool   // mounted so, or made so by the kernel after an error
	Disk       Disk
	Health     Health
}

// Health is what ext4 keeps about itself, on the disk: it survives restarts.
type Health struct {
	Known     bool
	Errors    int64 // found since the last check of the file system
	LastError time.Time
	Written   int64 // bytes, since the file system was made
}

// Holding returns the volume that holds a folder, given by its absolute path; links in
// it are not followed. fsys is rooted at /. The error is ErrNoDisk, or says that the
// kernel's list cannot be read.
func Holding(fsys fs.FS, dir string) (Volume, error) {
	b, err := fs.ReadFile(fsys, "proc/self/mountinfo")
	if err != nil {
		return Volume{}, fmt.Errorf("disk of %s: %w", dir, err)
	}
	m, ok := mountOf(string(b), path.Clean(dir))
	if !ok {
		return Volume{}, fmt.Errorf("disk of %s: %w", dir, ErrNoDisk)
	}
	v := Volume{Mount: m.point, FileSystem: m.kind, ReadOnly: m.readOnly}
	where, err := fs.ReadLink(fsys, "sys/dev/block/"+m.device)
	if err != nil {
		return v, fmt.Errorf("disk of %s: %w", dir, ErrNoDisk)
	}
	v.Device = path.Base(where)
	name := v.Device
	if number(fsys, "sys/dev/block/"+m.device+"/partition") > 0 {
		name = path.Base(path.Dir(where))
	}
	if v.Disk, ok = read(fsys, name); !ok {
		return v, fmt.Errorf("disk of %s: %w", dir, ErrNoDisk)
	}
	v.Health = health(fsys, "sys/fs/ext4/"+v.Device)
	return v, nil
}

type mount struct {
	device   string // "179:4"
	point    string
	kind     string
	readOnly bool
}

// mountOf finds the mount that dir is under: of several over each other, the last
// (Documentation/filesystems/proc.rst, 3.5).
func mountOf(table, dir string) (best mount, ok bool) {
	for line := range strings.Lines(table) {
		head, tail, found := strings.Cut(line, " - ")
		f, g := strings.Fields(head), strings.Fields(tail)
		if !found || len(f) < 6 || len(g) < 3 {
			continue
		}
		m := mount{device: f[2], point: unescape(f[4]), kind: g[0], readOnly: has(f[5], "ro") || has(g[2], "ro")}
		under := m.point == "/" || dir == m.point || strings.HasPrefix(dir, m.point+"/")
		if under && len(m.point) >= len(best.point) {
			best, ok = m, true
		}
	}
	return best, ok
}

func has(options, want string) bool {
	for o := range strings.SplitSeq(options, ",") {
		if o == want {
			return true
		}
	}
	return false
}

// unescape undoes the kernel's octal escapes of blanks.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

func health(fsys fs.FS, dir string) Health {
	written, err := strconv.ParseInt(text(fsys, dir+"/lifetime_write_kbytes"), 10, 64)
	if err != nil {
		return Health{}
	}
	h := Health{Known: true, Written: written << 10, Errors: number(fsys, dir+"/errors_count")}
	if at := number(fsys, dir+"/last_error_time"); at > 0 {
		h.LastError = time.Unix(at, 0).UTC()
	}
	return h
}
