package raftnode_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"redhen/provision/ident"
	"redhen/raftnode/raftnodetest"
	"redhen/raftnode/transport"
	"redhen/raftnode/vfs"
	"redhen/raftnode/vfs/vfstest"
)

var cutsFlag = flag.Int("cuts", 0, "replay so many power cuts in TestPowerCuts")

// TestPowerCuts records every write and flush of a real box under load, with strace, bbolt
// and single files included. Then it cuts the power at many points of the record: of what
// was not flushed by then, any subset of sectors and names is on the disk (vfstest). From
// each a box starts by itself, alone, and has every file that somebody was told is kept.
func TestPowerCuts(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed: nothing can be recorded")
	}
	cuts := 16
	switch {
	case *cutsFlag > 0:
		cuts = *cutsFlag
	case raceEnabled:
		t.Skip("the same without the race detector is enough")
	}
	dir := t.TempDir()
	ops := record(t, dir)
	disk := vfstest.New(1)
	rng := rand.New(rand.NewPCG(1, 2))
	points := map[int]bool{len(ops): true}
	begin := slices.IndexFunc(ops, func(o diskOp) bool { return o.kind == "ack" })
	for len(points) < cuts {
		points[begin+rng.IntN(len(ops)-begin)] = true
	}
	r := &replay{disk: disk, dir: filepath.Join(dir, "a"), files: map[int]*traced{}}
	writes, syncs := 0, 0
	for i := 0; ; i++ {
		if points[i] {
			r.cut(t, uint64(i))
		}
		if i == len(ops) || t.Failed() {
			break
		}
		if err := r.do(ops[i]); err != nil {
			t.Fatalf("replay %s %q: %v", ops[i].kind, ops[i].path, err)
		}
		if ops[i].kind == "write" {
			writes++
		}
		if ops[i].kind == "sync" {
			syncs++
		}
	}
	t.Logf("%d power cuts in %d writes and %d flushes; %d files were kept by the end, and all are there", len(points), writes, syncs, len(r.kept))
}

// diskOp is one recorded call.
type diskOp struct {
	kind     string // open, close, write, sync, truncate, rename, remove, mkdir, ack
	fd       int
	path, to string
	flag     int
	off      int64 // -1: where the file stands
	data     []byte
}

const loadedBox = "REDHEN_LOADED_BOX" // the folder of TestLoadedBox

// record runs TestLoadedBox in a process of its own and returns what it did to its disk.
func record(t *testing.T, dir string) []diskOp {
	t.Helper()
	trace := filepath.Join(dir, "trace")
	calls := "openat,close,write,pwrite64,fsync,fdatasync,ftruncate,renameat,renameat2,rename,unlink,unlinkat,mkdirat,mkdir," +
		"writev,pwritev,copy_file_range,sendfile,fallocate,linkat"
	cmd := exec.CommandContext(t.Context(), "strace", "-f", "-qq", "-xx", "-s", "8388608", "-e", "trace="+calls, "-e", "signal=none", "-o", trace,
		os.Args[0], "-test.run", "^TestLoadedBox$", "-test.count", "1")
	cmd.Env = append(os.Environ(), loadedBox+"="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the box under load: %v\n%s", err, out)
	}
	f, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	defer os.Remove(trace)
	ops, err := readTrace(f)
	if err != nil {
		t.Fatal(err)
	}
	return ops
}

// TestLoadedBox is the process that record watches: box a, under load, beside box b, of
// which it is cut off in the middle. It says what is kept by writes to a file.
func TestLoadedBox(t *testing.T) {
	dir := os.Getenv(loadedBox)
	if dir == "" {
		t.Skip("run by TestPowerCuts")
	}
	ctx, end := context.WithTimeout(t.Context(), 8*time.Minute)
	defer end()
	c := raftnodetest.New(t, raftnodetest.Config{Seed: 1, KeepEntries: 16, CutEntries: 48, Dir: dir, OnDisk: true})
	for _, name := range []string{"a", "b"} {
		if _, err := c.Add(ctx, name, name+" house"); err != nil {
			t.Fatal(err)
		}
	}
	waitVoters(t, ctx, c, ident.CircleShard, 2)
	a := c.Box("a")
	space, err := a.NewSpace(ctx, "files")
	if err != nil {
		t.Fatal(err)
	}
	waitVoters(t, ctx, c, space, 2)
	c.Mesh.SetLinks(transport.Link{Latency: time.Millisecond})
	acks, err := os.Create(filepath.Join(dir, "acks"))
	if err != nil {
		t.Fatal(err)
	}
	defer acks.Close()
	load := func(from, to int) {
		for i := from; i < to; i++ {
			mustPut(t, ctx, a, space, fmt.Sprint("f", i), loaded(i))
			fmt.Fprintf(acks, "%d\n", i)
		}
	}
	load(0, 150)
	c.Mesh.Partition([]ident.BoxID{a.Key.BoxID()})
	until(t, ctx, "apart", func() bool {
		ok, err := c.Apart(ctx, space, "a")
		return ok && err == nil
	})
	load(150, 220)
	c.Mesh.Heal()
	load(220, 260)
	time.Sleep(4 * time.Second) // the state is flushed, the log is cut
	load(260, 300)
	for _, b := range c.All() {
		b.Stop()
	}
}

// loaded is the content of a file of the load: one in ten has a chunk of its own.
func loaded(i int) []byte {
	if i%10 == 3 {
		return noise(byte(i), 30_000)
	}
	return fmt.Appendf(nil, "<%d>", i)
}

// readTrace parses what strace wrote, and keeps what was done below dir/a. A call that
// others interrupted counts from where it began, a flush from where it ended.
func readTrace(f *os.File) ([]diskOp, error) {
	var ops []diskOp
	begun := map[string]string{} // by thread
	at := map[string]int{}       // place of a begun call
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		thread, call, _ := strings.Cut(lines.Text(), " ")
		call = strings.TrimSpace(call)
		if first, ok := strings.CutSuffix(call, " <unfinished ...>"); ok {
			begun[thread], at[thread] = first, len(ops)
			ops = append(ops, diskOp{})
			continue
		}
		place := -1
		if rest, ok := strings.CutPrefix(call, "<... "); ok {
			_, rest, _ = strings.Cut(rest, " resumed>")
			call, place = begun[thread]+rest, at[thread]
		}
		op, err := parseCall(call)
		if err != nil {
			return nil, fmt.Errorf("%.200s: %w", call, err)
		}
		if place >= 0 && op.kind != "sync" && op.kind != "open" {
			ops[place] = op
		} else {
			ops = append(ops, op)
		}
	}
	return slices.DeleteFunc(ops, func(o diskOp) bool { return o.kind == "" }), lines.Err()
}

var errUnknownCall = errors.New("a call that the replay does not know")

// parseCall reads "name(args) = result"; a call that failed is none.
func parseCall(call string) (diskOp, error) {
	name, rest, ok := strings.Cut(call, "(")
	i := strings.LastIndex(rest, ") ")
	if !ok || i < 0 {
		return diskOp{}, nil
	}
	result, err := strconv.ParseInt(strings.Fields(strings.TrimLeft(rest[i+1:], " ="))[0], 0, 64)
	if err != nil || result < 0 {
		return diskOp{}, nil
	}
	args := strings.Split(rest[:i], ", ")
	fd, _ := strconv.Atoi(args[0])
	switch name {
	case "openat":
		return diskOp{kind: "open", fd: int(result), path: unhex(args[1]), flag: openFlags(args[2])}, nil
	case "close":
		return diskOp{kind: "close", fd: fd}, nil
	case "write":
		return diskOp{kind: "write", fd: fd, off: -1, data: []byte(unhex(args[1]))[:result]}, nil
	case "pwrite64":
		off, err := strconv.ParseInt(args[3], 0, 64)
		return diskOp{kind: "write", fd: fd, off: off, data: []byte(unhex(args[1]))[:result]}, err
	case "fsync", "fdatasync":
		return diskOp{kind: "sync", fd: fd}, nil
	case "ftruncate":
		size, err := strconv.ParseInt(args[1], 0, 64)
		return diskOp{kind: "truncate", fd: fd, off: size}, err
	case "renameat", "renameat2":
		return diskOp{kind: "rename", path: unhex(args[1]), to: unhex(args[3])}, nil
	case "unlinkat":
		return diskOp{kind: "remove", path: unhex(args[1])}, nil
	case "mkdirat":
		return diskOp{kind: "mkdir", path: unhex(args[1])}, nil
	}
	return diskOp{}, errUnknownCall
}

// unhex reads a string of strace -xx.
func unhex(s string) string {
	s = strings.Trim(s, `"`)
	b := make([]byte, 0, len(s)/4)
	for i := 0; i+3 < len(s); i += 4 {
		v, err := strconv.ParseUint(s[i+2:i+4], 16, 8)
		if err != nil {
			return ""
		}
		b = append(b, byte(v))
	}
	return string(b)
}

func openFlags(s string) (flag int) {
	for word, f := range map[string]int{"O_RDWR": os.O_RDWR, "O_WRONLY": os.O_RDWR, "O_CREAT": os.O_CREATE, "O_TRUNC": os.O_TRUNC} {
		if slices.Contains(strings.Split(s, "|"), word) {
			flag |= f
		}
	}
	return flag
}

// replay does to a simulated disk what was recorded.
type replay struct {
	disk  *vfstest.Disk
	dir   string // what is below it is replayed
	files map[int]*traced
	kept  []int // files that somebody was told are kept
}

// traced is an open file, or a folder (no file).
type traced struct {
	path string
	f    vfs.File
	at   int64
}

func (r *replay) do(o diskOp) error {
	ours := func(name string) bool { return name == r.dir || strings.HasPrefix(name, r.dir+"/") }
	f := r.files[o.fd]
	switch o.kind {
	case "open":
		delete(r.files, o.fd)
		if o.path == filepath.Join(filepath.Dir(r.dir), "acks") {
			r.files[o.fd] = &traced{path: "acks"}
		}
		if !ours(o.path) {
			return nil
		}
		file, err := r.disk.OpenFile(o.path, o.flag)
		if err != nil { // a folder
			file = nil
		}
		r.files[o.fd] = &traced{path: o.path, f: file}
	case "close":
		delete(r.files, o.fd)
	case "rename":
		if ours(o.path) {
			return r.disk.Rename(o.path, o.to)
		}
	case "remove":
		if ours(o.path) {
			return r.disk.Remove(o.path)
		}
	case "mkdir":
		if ours(o.path) {
			return r.disk.MkdirAll(o.path)
		}
	case "write":
		return r.write(f, o)
	case "sync":
		switch {
		case f == nil || f.path == "acks":
		case f.f == nil:
			return r.disk.SyncDir(f.path)
		default:
			return f.f.Sync()
		}
	case "truncate":
		if f != nil && f.f != nil {
			return f.f.Truncate(o.off)
		}
	}
	return nil
}

func (r *replay) write(f *traced, o diskOp) error {
	switch {
	case f == nil:
		return nil
	case f.path == "acks":
		n, err := strconv.Atoi(strings.TrimSpace(string(o.data)))
		r.kept = append(r.kept, n)
		return err
	}
	off := o.off
	if off < 0 {
		off = f.at
		f.at += int64(len(o.data))
	}
	_, err := f.f.WriteAt(o.data, off)
	return err
}

// cut starts a box from what a power cut leaves here.
func (r *replay) cut(t *testing.T, seed uint64) {
	t.Run(fmt.Sprint("at-", seed), func(t *testing.T) {
		left := r.disk.Clone(seed)
		left.Restart()
		dir := t.TempDir()
		if err := writeOut(left, r.dir, filepath.Join(dir, "a")); err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			c := raftnodetest.New(t, raftnodetest.Config{Seed: 1, KeepEntries: 16, CutEntries: 48, Dir: dir, OnDisk: true})
			defer c.Close()
			a, err := c.Resume("a", "a house")
			if err != nil {
				t.Fatalf("the box does not start: %v", err)
			}
			r.isWhole(t, a)
			if t.Failed() {
				c.Said.Dump(t, 30)
			}
		})
	})
}

// isWhole looks for every file that was kept.
func (r *replay) isWhole(t *testing.T, a *raftnodetest.Box) {
	st, err := a.Node.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, sh := range st.Shards {
		if sh.Failed != "" || sh.Trouble != "" {
			t.Errorf("shard %s: %s %s", sh.Shard, sh.Failed, sh.Trouble)
		}
	}
	for _, i := range r.kept {
		got, err := a.Get(t.Context(), raftnodetest.SpaceID("files"), fmt.Sprint("f", i))
		if err != nil || !bytes.Equal(got, loaded(i)) {
			t.Fatalf("f%d was kept, and is not there: %v, %d bytes", i, err, len(got))
		}
	}
}

// writeOut copies a folder of a simulated disk to a real one.
func writeOut(d *vfstest.Disk, from, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	names, err := d.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, name := range names {
		f, open := d.OpenFile(path.Join(from, name), os.O_RDONLY)
		if open != nil {
			err = errors.Join(err, writeOut(d, path.Join(from, name), filepath.Join(to, name)))
			continue
		}
		size, _ := f.Size()
		b := make([]byte, size)
		_, _ = f.ReadAt(b, 0) // what it lacks shows
		err = errors.Join(err, f.Close(), os.WriteFile(filepath.Join(to, name), b, 0o600))
	}
	return err
}
