package wifilab

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"redhen/images/bake"
	"redhen/images/debian"
	"redhen/images/layout"
	"redhen/images/vmtest"
)

// lab is the machine that runs.
type lab struct {
	t     *testing.T
	line  net.Conn
	lines *bufio.Scanner
	dir   string
}

// startLab bakes an image, and starts its box in the street.
func startLab(t *testing.T) *lab {
	t.Helper()
	asked := os.Getenv("REDHEN_VM")
	if asked != "all" && asked != "wifi" {
		t.Skip("virtual machines were not asked for: make test-vm")
	}
	for _, missing := range []string{vmtest.Missing(layout.AMD64), debian.Missing()} {
		if missing != "" {
			t.Skipf("%s is not installed: make setup", missing)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	k, err := fetchKernel(t.Context(), filepath.Join(cache, "redhen", "wifilab"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree")
	c := bake.Config{Board: layout.AMD64, Module: "../..", Out: dir, Release: "test", Number: 1_000_000_000}
	if err := bake.Tree(t.Context(), c, tree); err != nil {
		t.Fatal(err)
	}
	root, image, disk := filepath.Join(dir, "root"), filepath.Join(dir, "image"), filepath.Join(dir, "disk")
	if err := bake.Root(t.Context(), c, tree, root); err != nil {
		t.Fatal(err)
	}
	if err := bake.Assemble(t.Context(), c, root, image); err != nil {
		t.Fatal(err)
	}
	if err := vmtest.Card(image, disk, 1<<30); err != nil {
		t.Fatal(err)
	}
	first := filepath.Join(dir, "first")
	if err := os.WriteFile(first, firstRoot(t, k, tree), 0o644); err != nil {
		t.Fatal(err)
	}
	return run(t, dir, disk, k.path, first)
}

// firstRoot is what the machine starts from: the street, its programs, the modules.
func firstRoot(t *testing.T, k *kernel, tree string) []byte {
	t.Helper()
	program := filepath.Join(t.TempDir(), "street")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "./street")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	a := &archive{dirs: map[string]bool{}}
	put := func(name, path string) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		a.put(name, b)
	}
	put("init", program)
	for _, pattern := range []string{"usr/sbin/*", "lib64/*", "usr/lib/x86_64-linux-gnu/*"} {
		found, err := filepath.Glob(filepath.Join(tree, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: nothing there: %v", pattern, err)
		}
		for _, path := range found {
			put(strings.TrimPrefix(path, tree+"/"), path)
		}
	}
	order := ""
	for _, name := range k.order {
		a.put("modules/"+name, k.modules[name])
		if name == "mac80211_hwsim" {
			name += fmt.Sprintf(" radios=%d", Radios)
		}
		order += name + "\n"
	}
	a.put("modules/order", []byte(order))
	return a.end()
}

// run starts QEMU; it ends with the test.
func run(t *testing.T, dir, disk, kernel, first string) *lab {
	t.Helper()
	console, socket := filepath.Join(dir, "console"), filepath.Join(dir, "line")
	cmd := exec.Command("qemu-system-x86_64", "-accel", "tcg,thread=single", "-cpu", "max", "-smp", "1", "-m", "1024",
		"-nographic", "-monitor", "none", "-nic", "none", "-no-reboot",
		"-drive", "file="+disk+",format=raw,if=virtio,cache=unsafe", "-device", "virtio-rng-pci",
		"-kernel", kernel, "-initrd", first, "-append", layout.Cmdline(layout.AMD64, layout.A, "ttyS0,115200")+" quiet nokaslr mitigations=off",
		"-serial", "file:"+console, "-serial", "unix:"+socket+",server=on,wait=off")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, dir: dir}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait() // it was killed
		if l.line != nil {
			l.line.Close()
		}
		if b, _ := os.ReadFile(console); t.Failed() {
			lines := strings.Split(string(b), "\n")
			t.Logf("console:\n%s", strings.Join(lines[max(0, len(lines)-60):], "\n"))
		}
	})
	for range 100 {
		var err error
		if l.line, err = net.Dial("unix", socket); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if l.line == nil {
		t.Fatal("QEMU did not start")
	}
	l.lines = bufio.NewScanner(l.line)
	l.lines.Buffer(nil, 4<<20)
	l.line.SetDeadline(time.Now().Add(2 * patience))
	for l.lines.Text() != Ready {
		if !l.lines.Scan() {
			t.Fatalf("the street does not come: %v", l.lines.Err())
		}
	}
	return l
}

// do has the street do something.
func (l *lab) do(o Order) Answer {
	l.t.Helper()
	b, err := json.Marshal(o)
	if err != nil {
		l.t.Fatal(err)
	}
	l.line.SetDeadline(time.Now().Add(5 * time.Minute))
	if _, err := l.line.Write(append(b, '\n')); err != nil {
		l.t.Fatal(err)
	}
	if !l.lines.Scan() {
		l.t.Fatalf("the street does not answer %s: %v", b, l.lines.Err())
	}
	var a Answer
	if err := json.Unmarshal(l.lines.Bytes(), &a); err != nil {
		l.t.Fatalf("%v: %q", err, l.lines.Text())
	}
	return a
}

// must is do for what has to succeed.
func (l *lab) must(o Order) Answer {
	l.t.Helper()
	a := l.do(o)
	if a.Err != "" {
		l.t.Fatalf("%s %s%s: %s\n%s", o.Do, o.SSID, o.URL, a.Err, l.said())
	}
	return a
}

// said is the end of what redhen said.
func (l *lab) said() string {
	a := l.do(Order{Do: "log", URL: "/user/redhen"})
	return a.Text[max(0, len(a.Text)-6000):] + a.Err
}

// until repeats an order until its answer is as wanted.
func (l *lab) until(what string, patience time.Duration, o Order, fine func(Answer) bool) Answer {
	l.t.Helper()
	begin := time.Now()
	for {
		a := l.do(o)
		if fine(a) {
			l.t.Logf("%s: after %.0f s", what, time.Since(begin).Seconds())
			return a
		}
		if time.Since(begin) > patience {
			l.t.Fatalf("%s: not within %v; last %+.500v\n%s", what, patience, a, l.said())
		}
		time.Sleep(time.Second)
	}
}
