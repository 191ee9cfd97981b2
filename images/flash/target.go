// Package flash makes the card of a box: it judges where a card is to be written, so
// that nobody's disk is lost, and writes an image and a box's settings there.
package flash

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"redhen/board/disk"
	"redhen/images/layout"
)

// Refusal says in a sentence why a target is not written to. Nothing was changed.
type Refusal struct {
	Sentence string // in English
	Code     string // what the sentence is about, for pages, with the facts in About; empty: no page shows it
	About    []any  // pairs of name and value
}

// Error implements error.
func (r *Refusal) Error() string { return r.Sentence }

func refuse(format string, args ...any) error {
	return &Refusal{Sentence: fmt.Sprintf(format, args...)}
}

// Target is where a card is to be written.
type Target struct {
	Path   string
	Device bool   // and not a file
	Words  string // for people: "the card SD32G, 29.7 GiB"
	// Sure is false for a disk that does not look like a card: it takes a second yes.
	Sure bool
}

// maxCard is the size above which nothing is taken for a card, in bytes.
const maxCard = 2 << 40

// Look judges a target; root is rooted at / and tells of disks and mounts. A file may be
// new, or an image that was written before. The error is a *Refusal.
func Look(root fs.FS, path string) (Target, error) {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return newFile(path)
	case err != nil:
		return Target{}, refuse("%s cannot be looked at (%v). Nothing was changed. Name the card's device, or a file.", path, err)
	case st.Mode().IsRegular():
		return oldFile(path)
	case st.Mode()&fs.ModeDevice != 0 && st.Mode()&fs.ModeCharDevice == 0:
		real, err := filepath.EvalSymlinks(path) // /dev/disk/by-id/…
		if err != nil {
			return Target{}, refuse("%s cannot be looked at (%v). Nothing was changed. Name the card's device, or a file.", path, err)
		}
		return device(root, real)
	}
	return Target{}, refuse("%s is neither a card nor a file. Nothing was changed. Name the card's device, or a file.", path)
}

// Cards are the disks of this computer that a card could be written to; root is rooted at /.
func Cards(root fs.FS) (all []Target) {
	for _, d := range disk.List(root) {
		if t, err := whole(root, "/dev/"+d.Name, d); err == nil {
			all = append(all, t)
		}
	}
	return all
}

func newFile(path string) (Target, error) {
	if strings.HasPrefix(filepath.Clean(path), "/dev/") {
		return Target{}, refuse("There is no %s. Nothing was changed. Is the card in its reader?", path)
	}
	return Target{Path: path, Words: "the file " + path, Sure: true}, nil
}

// oldFile takes images of ours for a target, and no other file.
func oldFile(path string) (Target, error) {
	f, err := os.Open(path)
	if err != nil {
		return Target{}, refuse("%s cannot be read (%v). Nothing was changed. Name another file.", path, err)
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Size() == 0 {
		return Target{Path: path, Words: "the file " + path, Sure: true}, nil
	}
	if _, err := layout.FindData(f); err != nil {
		return Target{}, refuse("%s is there already, and is no redhen image. Nothing was changed. Name another file, or remove that one.", path)
	}
	return Target{Path: path, Words: "the file " + path, Sure: true}, nil
}

// device judges a disk.
func device(root fs.FS, path string) (Target, error) {
	name := filepath.Base(path)
	for _, d := range disk.List(root) {
		for _, p := range d.Parts {
			if p.Name == name {
				return Target{}, refuse("%s is one partition of %s. Nothing was changed. Name the whole card: /dev/%s.", path, d.Name, d.Name)
			}
		}
		if d.Name == name {
			return whole(root, path, d)
		}
	}
	return Target{}, refuse("%s is no disk that a card could be. Nothing was changed. Name the card's device, or a file.", path)
}

func whole(root fs.FS, path string, d disk.Disk) (Target, error) {
	words := Describe(d)
	if where, ok := InUse(root, d); ok {
		return Target{}, refuse("%s (%s) is in use, at %s. Nothing was changed. Take it out of use (eject it), or name another one.", path, words, where)
	}
	switch {
	case d.ReadOnly:
		return Target{}, refuse("%s (%s) cannot be written to. Nothing was changed. Slide the lock on the card's side, or take another card.", path, words)
	case d.Size < layout.ImageSize:
		return Target{}, refuse("%s (%s) is too small. Nothing was changed. Take a card of 8 GB or more.", path, words)
	case d.Size > maxCard:
		return Target{}, refuse("%s (%s) is too large to be a card. Nothing was changed. Name the card's device.", path, words)
	}
	return Target{Path: path, Device: true, Words: words, Sure: isCard(d)}, nil
}

// isCard reports whether a disk is what people put into readers.
func isCard(d disk.Disk) bool {
	return d.Kind == disk.Card || d.Kind == disk.Stick
}

// Describe is a disk for people: "card SD32G, 29.7 GiB".
func Describe(d disk.Disk) string {
	kind := map[disk.Kind]string{disk.Card: "card", disk.Stick: "stick or card in a reader", disk.EMMC: "soldered flash", disk.USB: "USB disk"}[d.Kind]
	if kind == "" {
		kind = "disk"
	}
	return fmt.Sprintf("%s %s, %.1f GiB", kind, strings.TrimSpace(d.Model), float64(d.Size)/(1<<30))
}

// InUse returns where a disk or a part of it is in use: mounted, swapped to, or held
// by another device such as an encrypted volume.
func InUse(root fs.FS, d disk.Disk) (string, bool) {
	names := map[string]bool{"/dev/" + d.Name: true}
	dirs := []string{"sys/block/" + d.Name}
	for _, p := range d.Parts {
		names["/dev/"+p.Name] = true
		dirs = append(dirs, "sys/block/"+d.Name+"/"+p.Name)
	}
	for _, dir := range dirs {
		if held, err := fs.ReadDir(root, dir+"/holders"); err == nil && len(held) > 0 {
			return held[0].Name(), true
		}
	}
	if b, err := fs.ReadFile(root, "proc/swaps"); err == nil {
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 0 && names[f[0]] {
				return "swap", true
			}
		}
	}
	return mounted(root, names)
}

// mounted compares device numbers, since names in the table may be any.
func mounted(root fs.FS, names map[string]bool) (string, bool) {
	b, err := fs.ReadFile(root, "proc/self/mountinfo")
	if err != nil {
		return "an unknown place", true // better refused
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		if where, err := fs.ReadLink(root, "sys/dev/block/"+f[2]); err == nil && names["/dev/"+filepath.Base(where)] {
			return f[4], true
		}
	}
	return "", false
}
