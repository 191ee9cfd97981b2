package dav

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// program returns the path of a program of this machine, or skips the test.
func program(t *testing.T, name string) string {
	t.Helper()
	p, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed on this machine: what it would prove is not proved here", name)
	}
	return p
}

// run runs a program in an empty home directory, and returns what it prints.
func run(t *testing.T, stdin, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	home := t.TempDir()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdin = home, strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "RCLONE_CONFIG="+filepath.Join(home, "none.conf"))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// litmusGoals returns the suites of litmus, how many of its tests have to pass, and
// how many it runs. The missing one wants a shared lock; we have none, and say 501.
func litmusGoals() map[string][2]int {
	return map[string][2]int{"basic": {16, 16}, "copymove": {13, 13}, "props": {30, 30}, "locks": {33, 34}, "http": {4, 4}}
}

func TestLitmus(t *testing.T) {
	litmus := program(t, "litmus")
	d := openDoor(t)
	out, _ := run(t, "", litmus, "-k", d.url+"/", testName, testPassword)
	goals, seen := litmusGoals(), 0
	summary := regexp.MustCompile("summary for `(\\w+)': of (\\d+) tests run: (\\d+) passed")
	for _, m := range summary.FindAllStringSubmatch(out, -1) {
		ran, _ := strconv.Atoi(m[2])
		passed, _ := strconv.Atoi(m[3])
		goal, ok := goals[m[1]]
		if !ok {
			continue
		}
		seen++
		t.Logf("%s: %d of %d", m[1], passed, ran)
		if ran-passed > goal[1]-goal[0] {
			t.Errorf("%s: %d of %d passed, want %d of %d", m[1], passed, ran, goal[0], goal[1])
		}
	}
	if seen != len(goals) || t.Failed() {
		t.Errorf("%d of %d suites ended:\n%s", seen, len(goals), out)
	}
}

// rclone returns the arguments that make "box:" our server.
func rcloneArgs(t *testing.T, rclone string, d *door, args ...string) []string {
	t.Helper()
	obscured, err := run(t, testPassword, rclone, "obscure", "-")
	if err != nil {
		t.Fatal(obscured, err)
	}
	return append(args, "--webdav-url", d.url, "--webdav-vendor", "owncloud", "--webdav-user", testName,
		"--webdav-pass", strings.TrimSpace(obscured))
}

func writeTree(t *testing.T, dir string) {
	t.Helper()
	big := make([]byte, 3<<20+12345)
	rand.Read(big)
	files := map[string][]byte{"big.bin": big, "empty": {}, "a folder/Grüße & mehr.txt": []byte("hi"), "a folder/deep/er/#1 100%.txt": []byte("x")}
	for i := range 30 {
		files[fmt.Sprintf("many/%03d.txt", i)] = fmt.Appendf(nil, "file %d", i)
	}
	for name, content := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, content, 0o644); err != nil {
			t.Fatal(err)
		}
		old := time.Unix(1_500_000_000, 0)
		if err := os.Chtimes(p, old, old); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRclone(t *testing.T) {
	rclone := program(t, "rclone")
	d := openDoor(t)
	src, back := t.TempDir(), t.TempDir()
	writeTree(t, src)
	rcl := func(args ...string) string {
		t.Helper()
		out, err := run(t, "", rclone, rcloneArgs(t, rclone, d, args...)...)
		if err != nil {
			t.Fatalf("rclone %v: %v\n%s", args, err, out)
		}
		return out
	}
	rcl("sync", src, ":webdav:backup")
	rcl("check", "--download", src, ":webdav:backup")
	uploads := d.store.Uploads()
	rcl("sync", src, ":webdav:backup") // times are kept: nothing is sent again
	if n := d.store.Uploads() - uploads; n != 0 {
		t.Errorf("%d files were sent again", n)
	}
	rcl("moveto", ":webdav:backup/many", ":webdav:backup/moved")
	rcl("copyto", ":webdav:backup/big.bin", ":webdav:backup/big copy.bin")
	if n := d.store.Uploads() - uploads; n != 0 {
		t.Errorf("%d files were sent to move and copy", n)
	}
	rcl("sync", ":webdav:backup", back)
	for name, from := range map[string]string{"big copy.bin": "big.bin", "moved/007.txt": "many/007.txt", "a folder/deep/er/#1 100%.txt": "a folder/deep/er/#1 100%.txt"} {
		got, err := os.ReadFile(filepath.Join(back, name))
		want, _ := os.ReadFile(filepath.Join(src, from))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(want))
		}
	}
	rcl("purge", ":webdav:backup")
	d.want(404, "PROPFIND", "/backup", "", "Depth: 0")
}

func TestCadaver(t *testing.T) {
	cadaver := program(t, "cadaver")
	d := openDoor(t)
	file := filepath.Join(t.TempDir(), "hen.txt")
	if err := os.WriteFile(file, []byte("cluck"), 0o600); err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	netrc := fmt.Sprintf("machine 127.0.0.1 login %s password %q\n", testName, testPassword)
	if err := os.WriteFile(filepath.Join(home, ".netrc"), []byte(netrc), 0o600); err != nil {
		t.Fatal(err)
	}
	script := "mkcol coop\ncd coop\nput " + file + " hen.txt\nlock hen.txt\nunlock hen.txt\npropset hen.txt color red\npropget hen.txt color\n" +
		"copy hen.txt two.txt\nmove two.txt three.txt\nls\ndelete hen.txt\nquit\n"
	cmd := exec.CommandContext(t.Context(), cadaver, d.url+"/")
	cmd.Env, cmd.Stdin = append(os.Environ(), "HOME="+home), strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), "failed") {
		t.Errorf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "red") {
		t.Errorf("the property is not shown:\n%s", out)
	}
	d.wantBody("/coop/three.txt", "cluck")
	d.want(404, "GET", "/coop/hen.txt", "")
}

// Windows and others log in by Digest; curl stands for them here.
func TestCurlWithDigest(t *testing.T) {
	curl := program(t, "curl")
	d := openDoor(t)
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, bytes.Repeat([]byte("0123456789abcdef"), 2<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	do := func(password string, args ...string) string {
		t.Helper()
		args = append([]string{"-sS", "--digest", "-u", testName + ":" + password, "-o", "/dev/null", "-w", "%{http_code}"}, args...)
		out, err := run(t, "", curl, args...)
		if err != nil {
			t.Fatal(out, err)
		}
		return out
	}
	if got := do(testPassword, "-T", file, d.url+"/f%20f?x=1"); got != "201" {
		t.Errorf("put: got %s", got)
	}
	if got := do(testPassword, d.url+"/f%20f"); got != "200" {
		t.Errorf("get: got %s", got)
	}
	if got := do("wrong", d.url+"/f%20f"); got != "401" {
		t.Errorf("wrong password: got %s", got)
	}
}
