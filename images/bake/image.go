package bake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"redhen/images/bundle"
	"redhen/images/card"
	"redhen/images/layout"
	"redhen/provision/seed"
)

// Names of what Bake makes, in the folder of results.
func (c *Config) name(ext string) string {
	return filepath.Join(c.Out, "redhen-"+string(c.Board)+ext)
}

// Image is the path of a board's image in a folder of results.
func Image(out string, b layout.Board) string {
	return (&Config{Out: out, Board: b}).name(".img")
}

// Update is the path of its update file.
func Update(out string, b layout.Board) string {
	return (&Config{Out: out, Board: b}).name(".update")
}

// Result is what Bake made.
type Result struct {
	layout.About
	Tree  string // the root as a folder
	Root  string // its squashfs
	Lines []Line // for people: what, how large, how long it took, its hash
}

// Line is one thing that was made.
type Line struct {
	What string
	Size int64
	Sum  [32]byte
	Took time.Duration
}

// String is one line of the table that make image prints.
func (l Line) String() string {
	return fmt.Sprintf("%-34s %6.1f MiB %7.1f s  %s", l.What, float64(l.Size)/(1<<20), l.Took.Seconds(), hex.EncodeToString(l.Sum[:]))
}

// Bake makes everything of one board: image, update file, compressed image,
// checksums and, for Raspberry Pis, the manifest for their Imager.
func Bake(ctx context.Context, c Config) (Result, error) {
	if err := c.validate(ctx); err != nil {
		return Result{}, err
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return Result{}, err
	}
	r := Result{About: c.about(), Tree: c.name(".tree"), Root: c.name(".root")}
	if err := os.RemoveAll(r.Tree); err != nil {
		return r, err
	}
	begin := time.Now()
	if err := Tree(ctx, c, r.Tree); err != nil {
		return r, err
	}
	if err := Root(ctx, c, r.Tree, r.Root); err != nil {
		return r, err
	}
	if err := r.line(&begin, r.Root); err != nil {
		return r, err
	}
	for _, step := range []struct {
		path string
		make func(context.Context, *Config, string) error
	}{
		{c.name(".img"), func(ctx context.Context, c *Config, to string) error { return Assemble(ctx, *c, r.Root, to) }},
		{c.name(".update"), func(ctx context.Context, c *Config, to string) error { return Pack(ctx, *c, r.Root, to) }},
		{c.name(".img.xz"), compress},
	} {
		if err := step.make(ctx, &c, step.path); err != nil {
			return r, err
		}
		if step.path == c.name(".img") {
			if err := r.bootLine(step.path); err != nil {
				return r, err
			}
		}
		if err := r.line(&begin, step.path); err != nil {
			return r, err
		}
	}
	return r, errors.Join(c.checksums(r.Lines), c.manifest(r.Lines))
}

// line notes one file, and how long it took since the last.
func (r *Result) line(begin *time.Time, path string) error {
	s, size, err := sum(path)
	if err != nil {
		return err
	}
	r.Lines = append(r.Lines, Line{What: filepath.Base(path), Size: size, Sum: s, Took: time.Since(*begin)})
	*begin = time.Now()
	return nil
}

// bootLine notes the hash of the FAT in an image.
func (r *Result) bootLine(image string) error {
	f, err := os.Open(image)
	if err != nil {
		return err
	}
	defer f.Close()
	x, h := layout.Part(layout.BootPart), sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, x.Start, x.Size)); err != nil {
		return err
	}
	r.Lines = append(r.Lines, Line{What: strings.TrimSuffix(filepath.Base(image), ".img") + ".boot", Size: x.Size, Sum: [32]byte(h.Sum(nil))})
	return nil
}

// Assemble writes an image: partition table, FAT, and the root in slot a.
func Assemble(ctx context.Context, c Config, root, to string) error {
	if err := c.validate(ctx); err != nil {
		return err
	}
	onFAT, err := boot(ctx, &c)
	if err != nil {
		return fmt.Errorf("assemble image: %w", err)
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer f.Close()
	err = errors.Join(f.Truncate(layout.ImageSize),
		layout.WriteTable(f, c.Board, layout.ImageSize),
		card.MakeFAT(f, layout.Part(layout.BootPart), onFAT, c.made()))
	if err != nil {
		return fmt.Errorf("assemble image: %w", err)
	}
	in, err := os.Open(root)
	if err != nil {
		return err
	}
	defer in.Close()
	x := layout.Part(layout.A.RootPart())
	n, err := io.Copy(io.NewOffsetWriter(f, x.Start), in)
	if err == nil && n > x.Size {
		err = fmt.Errorf("the root has %d bytes, a slot %d", n, x.Size)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("assemble image: %w", err)
	}
	return nil
}

// Pack writes an update file.
func Pack(ctx context.Context, c Config, root, to string) error {
	if err := c.validate(ctx); err != nil {
		return err
	}
	inSlot, err := slotFiles(ctx, &c)
	if err != nil {
		return fmt.Errorf("pack update: %w", err)
	}
	s, size, err := sum(root)
	if err != nil {
		return err
	}
	h := bundle.Header{Board: c.Board, Release: c.Release, Number: c.Number, Level: layout.Level, Lines: lines(&c),
		Files: []bundle.File{{Name: bundle.RootName, Size: size, Sum: s}}}
	for _, name := range slices.Sorted(maps.Keys(inSlot)) {
		b := inSlot[name]
		h.Files = append(h.Files, bundle.File{Name: bundle.BootDir + name, Size: int64(len(b)), Sum: sha256.Sum256(b)})
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer f.Close()
	err = bundle.Write(f, h, c.Key, func(name string) (io.ReadCloser, error) {
		if name == bundle.RootName {
			return os.Open(root)
		}
		return io.NopCloser(strings.NewReader(string(inSlot[strings.TrimPrefix(name, bundle.BootDir)]))), nil
	})
	return errors.Join(err, f.Close())
}

// compress makes what people download. Blocks of one size make the same file on
// computers with any number of processors.
func compress(ctx context.Context, c *Config, to string) error {
	os.Remove(to)
	return run(exec.CommandContext(ctx, "xz", "--keep", "--threads=2", "--block-size=64MiB", "-1", c.name(".img")), c.Log)
}

// checksums writes a file that sha256sum -c reads.
func (c *Config) checksums(lines []Line) error {
	var b strings.Builder
	for _, l := range lines {
		if ext := filepath.Ext(l.What); ext == ".img" || ext == ".update" || ext == ".xz" {
			fmt.Fprintf(&b, "%x  %s\n", l.Sum, l.What)
		}
	}
	return os.WriteFile(c.name(".sha256"), []byte(b.String()), 0o644)
}

// manifest writes the file that opens Raspberry Pi Imager, for the image beside it.
func (c *Config) manifest(lines []Line) error {
	if c.Board != layout.ARM64 {
		return nil
	}
	packed, err := filepath.Abs(c.name(".img.xz"))
	if err != nil {
		return err
	}
	img := seed.Image{Version: c.Release, URL: (&url.URL{Scheme: "file", Path: packed}).String(), Released: c.made()}
	for _, l := range lines {
		switch filepath.Ext(l.What) {
		case ".img":
			img.Size, img.SHA256 = l.Size, l.Sum
		case ".xz":
			img.DownloadSize, img.DownloadSHA256 = l.Size, l.Sum
		}
	}
	b, err := seed.Manifest(img)
	if err != nil {
		return err
	}
	return os.WriteFile(c.name(seed.ManifestExt), b, 0o644)
}
