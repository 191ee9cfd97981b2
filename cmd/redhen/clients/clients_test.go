package clients

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"redhen/cmd/redhen/child"
)

// TestRealClients has real programs use a circle of three houses, each at another
// box; then all boxes start again, and everything is still there, at every box.
func TestRealClients(t *testing.T) {
	c := newCircle(t, 3)
	t.Run("litmus", func(t *testing.T) { c.litmus(t) })
	t.Run("rclone", func(t *testing.T) { c.rclone(t) })
	t.Run("lookalikes", func(t *testing.T) { c.lookalikes(t) })
	t.Run("cadaver", func(t *testing.T) { c.cadaver(t) })
	t.Run("curl", func(t *testing.T) { c.curl(t) })
	t.Run("davfs2", func(t *testing.T) { c.davfs(t) })
	t.Run("restart", func(t *testing.T) { c.restart(t) })
}

// litmusGoals are how many tests each suite must pass, and how many it runs.
func litmusGoals() map[string][2]int {
	return map[string][2]int{"basic": {16, 16}, "copymove": {13, 13}, "props": {29, 30}, "locks": {32, 34}, "http": {4, 4}}
}

var (
	litmusSummary = regexp.MustCompile("summary for `(\\w+)': of (\\d+) tests run: (\\d+) passed")
	litmusFailure = regexp.MustCompile(`(?m)^.*(FAIL|WARNING).*$`)
)

func (c *circle) litmus(t *testing.T) {
	out, err := do(t, t.TempDir(), "", has(t, "litmus"), "-k", davURL(c.boxes[0])+"/", person, c.secret)
	goals := litmusGoals()
	seen := 0
	for _, m := range litmusSummary.FindAllStringSubmatch(out, -1) {
		goal, known := goals[m[1]]
		if !known {
			continue
		}
		seen++
		passed, err := strconv.Atoi(m[3])
		if err != nil || passed < goal[0] || m[2] != strconv.Itoa(goal[1]) {
			t.Errorf("%s: %s of %s tests passed, want %d of %d", m[1], m[3], m[2], goal[0], goal[1])
		}
		t.Logf("%s: %s of %s", m[1], m[3], m[2])
	}
	for _, line := range litmusFailure.FindAllString(out, -1) {
		t.Log(line)
	}
	if seen != len(goals) || t.Failed() {
		t.Errorf("%d of %d suites ended (%v):\n%s", seen, len(goals), err, child.LastLines(out, 30))
	}
}

// rcloneAt returns a function that runs rclone with "box:" as the person's files at a box.
func (c *circle) rcloneAt(t *testing.T, i int) func(args ...string) (string, error) {
	t.Helper()
	rclone, home := has(t, "rclone"), t.TempDir()
	hidden, err := do(t, home, c.secret, rclone, "obscure", "-")
	if err != nil {
		t.Fatal(hidden, err)
	}
	remote := fmt.Sprintf(":webdav,vendor=owncloud,url=%q,user=%s,pass=%s:", davURL(c.boxes[i]), person, strings.TrimSpace(hidden))
	return func(args ...string) (string, error) {
		for n := range args {
			if rest, ok := strings.CutPrefix(args[n], "box:"); ok {
				args[n] = remote + rest
			}
		}
		return do(t, home, "", rclone, args...)
	}
}

// oddTree writes files with names that programs stumble over, many small ones and
// a large one, below dir. It returns how many.
func oddTree(t *testing.T, dir string) (files int) {
	small, large := 1000, int64(64<<20)
	if raced || testing.Short() {
		small, large = 100, 5<<20
	}
	sizes := map[string]int64{
		"large.bin": large, "empty": 0, " begins with a space.txt": 11, "two  spaces .txt": 12,
		"Gr\u00fc\u00dfe & mehr/\u00e9t\u00e9 composed.txt":     13,
		"Gr\u00fc\u00dfe & mehr/e\u0301te\u0301 decomposed.txt": 14,
		"#1 100%/what?.txt": 15, "#1 100%/%41 'quoted' \"twice\".txt": 16, "#1 100%/semi;colon,comma+plus=is.txt": 17,
		"back\\slash.txt": 18, "鶏小屋/卵 🥚.txt": 19, "deep/er/and/er/and/er/file.txt": 20, ".hidden/.file": 21,
		"~tilde!$()[]{}^`|<>*:.txt": 22, "inline 16384.bin": 16384, "chunked 16385.bin": 16385, "two chunks.bin": 1<<20 + 1,
		strings.Repeat("long name ", 24) + ".txt": 23,
	}
	for i := range small {
		sizes[fmt.Sprintf("many/%02d/%04d.txt", i%10, i)] = int64(i)
	}
	seed := uint64(0)
	for name, size := range sizes {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		seed++
		b, err := io.ReadAll(drawn(seed, size))
		if err == nil {
			err = os.WriteFile(file, b, 0o644)
		}
		then := time.Unix(1_600_000_000+int64(seed), 0)
		if err == nil {
			err = os.Chtimes(file, then, then)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return len(sizes)
}

func (c *circle) rclone(t *testing.T) {
	rclone, there := c.rcloneAt(t, 1), c.rcloneAt(t, 2)
	src, back := t.TempDir(), t.TempDir()
	files := oddTree(t, src)
	must := func(out string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatalf("%v\n%s", err, child.LastLines(out, 20))
		}
		return out
	}
	began := time.Now()
	must(rclone("sync", "--transfers", "8", src, "box:backup"))
	t.Logf("sync of %d files: %.1f s, most of it rclone's own 10 ms between two requests", files, time.Since(began).Seconds())
	if out := must(rclone("sync", "-v", src, "box:backup")); strings.Contains(out, "Copied") {
		t.Errorf("the second sync sent something again:\n%s", out)
	}
	must(rclone("moveto", "box:backup/many", "box:backup/moved"))
	must(rclone("copyto", "box:backup/large.bin", "box:backup/large copy.bin"))
	must(rclone("deletefile", "box:backup/large copy.bin"))
	if err := os.Rename(filepath.Join(src, "many"), filepath.Join(src, "moved")); err != nil {
		t.Fatal(err)
	}
	must(there("check", "--download", "--checkers", "8", src, "box:backup")) // another house
	must(there("sync", "--transfers", "8", "box:backup", back))
	got, want := folder(t, back), folder(t, src)
	if !maps.Equal(got, want) || len(want) != files {
		t.Errorf("%d files came back, want %d, the same: %s", len(got), files, cmp.Diff(want, got))
	}
}

// folder hashes all files below dir, by their names as a box keeps them.
func folder(t *testing.T, dir string) map[string]sum {
	t.Helper()
	all := map[string]sum{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all[norm.NFC.String(path[len(dir):])] = sha256.Sum256(b) // the form that a box keeps names in
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// lookalikes writes files whose names differ only in case or in how an accent is
// composed: a space never holds both under those names, and never loses one.
func (c *circle) lookalikes(t *testing.T) {
	c.make(t, "lookalikes")
	seen := map[sum]bool{}
	for i, name := range []string{"Readme.txt", "README.TXT", "readme.txt", "\u00e9t\u00e9.txt"} {
		a := c.put(i%3, "lookalikes/"+name, uint64(100+i), 1000)
		seen[a.sum] = false
		if beside := a.head.Get("Redhen-Beside"); (beside != "") != (i == 1 || i == 2) {
			t.Errorf("%s: Redhen-Beside %q", name, beside)
		}
	}
	older := c.put(0, "lookalikes/e\u0301te\u0301.txt", 200, 1000) // the same name, so the next version
	delete(seen, drawnSum(103, 1000))
	seen[older.sum] = false
	for name, s := range c.tree(1, "lookalikes") {
		if _, ours := seen[s]; !ours {
			t.Errorf("%s is nothing that was written", name)
		}
		seen[s] = true
		t.Log(name)
	}
	for s, found := range seen {
		if !found {
			t.Errorf("%x is lost", s[:4])
		}
	}
}

func drawnSum(seed uint64, n int64) sum {
	src := drawn(seed, n)
	io.Copy(io.Discard, src) // reads from memory
	return src.sum()
}

// make makes a folder.
func (c *circle) make(t *testing.T, dir string) {
	t.Helper()
	if a, err := c.dav(c.ctx, 0, "MKCOL", dir, nil); err != nil || a.code != http.StatusCreated {
		t.Fatal("MKCOL", dir, a, err)
	}
	c.wait(dir+" is at every box", func(ctx context.Context) error {
		for i := range c.boxes {
			if a, err := c.dav(ctx, i, "PROPFIND", dir, nil, "Depth", "0"); err != nil || a.code != http.StatusMultiStatus {
				return fmt.Errorf("%v, %w", a, err)
			}
		}
		return nil
	})
}

func (c *circle) cadaver(t *testing.T) {
	cadaver, home := has(t, "cadaver"), t.TempDir()
	host, _, _ := strings.Cut(strings.TrimPrefix(c.boxes[2].URL(), "http://"), ":")
	netrc := fmt.Sprintf("machine %s login %s password %q\n", host, person, c.secret)
	egg := filepath.Join(home, "egg.txt")
	for file, text := range map[string]string{".netrc": netrc, "egg.txt": "laid at six"} {
		if err := os.WriteFile(filepath.Join(home, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script := "mkcol coop\ncd coop\nput " + egg + "\nlock egg.txt\ndiscover egg.txt\nunlock egg.txt\npropset egg.txt color brown\n" +
		"propget egg.txt color\ncopy egg.txt two.txt\nmove two.txt three.txt\nls\nget three.txt " + filepath.Join(home, "back.txt") +
		"\ndelete egg.txt\nquit\n"
	out, err := do(t, home, script, cadaver, davURL(c.boxes[2])+"/")
	if err != nil || strings.Contains(out, "failed") || !strings.Contains(out, "brown") {
		t.Errorf("%v\n%s", err, out)
	}
	if b, err := os.ReadFile(filepath.Join(home, "back.txt")); string(b) != "laid at six" {
		t.Errorf("read back %q, %v", b, err)
	}
	want := map[string]sum{"coop/three.txt": sumOf("laid at six")}
	if got := c.tree(2, "coop"); !maps.Equal(got, want) {
		t.Errorf("left behind: %v\n%s", got, out)
	}
}

// curl logs in by Digest, as Windows does, and uses what browsers and players use.
func (c *circle) curl(t *testing.T) {
	curl, home := has(t, "curl"), t.TempDir()
	file, other := filepath.Join(home, "f"), filepath.Join(home, "g")
	for name, digits := range map[string]string{file: "0123456789", other: "9876543210"} {
		if err := os.WriteFile(name, []byte(strings.Repeat(digits, 300_000)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	url := davURL(c.boxes[0]) + "/curl%20file"
	ask := func(pass string, args ...string) string {
		t.Helper()
		out, err := do(t, home, "", curl, append([]string{"-sS", "-i", "--digest", "-u", person + ":" + pass}, args...)...)
		if err != nil {
			t.Fatalf("%v\n%s", err, child.LastLines(out, 20))
		}
		return out[strings.LastIndex(out[:min(len(out), 4000)], "HTTP/1.1 "):] // the last answer: Digest takes two
	}
	var put string
	c.wait("curl's file is kept in two houses", func(context.Context) error {
		put = ask(c.secret, "-T", file, url)
		if !regexp.MustCompile(`(?m)^Redhen-Kept: [23]\r`).MatchString(put) {
			return fmt.Errorf("PUT: %s", put)
		}
		return nil
	})
	etag := regexp.MustCompile(`(?m)^Etag: (".*")`).FindStringSubmatch(put)
	if !regexp.MustCompile(`^HTTP/1.1 20[14] `).MatchString(put) || etag == nil { // 204: it was answered as kept in one house first
		t.Fatalf("PUT: %s", put)
	}
	for _, x := range []struct {
		what, want string
		answer     string
	}{
		{"a range", "HTTP/1.1 206", ask(c.secret, "-r", "1048570-1048579", url)},
		{"the bytes of the range", "\r\n\r\n0123456789", ask(c.secret, "-r", "1048570-1048579", url)},
		{"the end", "\r\n\r\n789", ask(c.secret, "-r", "-3", url)},
		{"a range beyond the end", "HTTP/1.1 416", ask(c.secret, "-r", "3000000-", url)},
		{"not modified", "HTTP/1.1 304", ask(c.secret, "-H", "If-None-Match: "+etag[1], url)},
		{"a condition that holds", "HTTP/1.1 204", ask(c.secret, "-H", "If-Match: "+etag[1], "-T", other, url)},
		{"one that no longer does", "HTTP/1.1 412", ask(c.secret, "-H", "If-Match: "+etag[1], "-T", file, url)},
		{"its sentence", "The file was changed by someone else in the meantime.", ask(c.secret, "-H", "If-Match: "+etag[1], "-T", file, url)},
		{"a new file only", "HTTP/1.1 412", ask(c.secret, "-H", "If-None-Match: *", "-T", file, url)},
		{"a wrong password", "HTTP/1.1 401", ask("wrong", url)},
		{"more houses than there are", "HTTP/1.1 503", ask(c.secret, "-H", "Redhen-Insist: 4", "-T", file, url)},
		{"as many as there are", "HTTP/1.1 204", ask(c.secret, "-H", "Redhen-Insist: 2", "-T", file, url)},
	} {
		if !strings.Contains(x.answer, x.want) {
			t.Errorf("%s: want %q in %.900s", x.what, x.want, x.answer)
		}
	}
}

// davfs mounts the files of the person as a folder of this machine, where that is possible.
func (c *circle) davfs(t *testing.T) {
	has(t, "mount.davfs")
	home, err := os.MkdirTemp("", "redhen-davfs-") // davfs2 uses an account of its own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	at := filepath.Join(home, "mnt")
	secrets := fmt.Sprintf("%s/ %s %q\n", davURL(c.boxes[1]), person, c.secret)
	config := fmt.Sprintf("secrets %s/secrets\ncache_dir %s/cache\nask_auth 0\ndelay_upload 0\nbackup_dir lost\n", home, home)
	for file, text := range map[string]string{"secrets": secrets, "config": config} {
		if err := os.WriteFile(filepath.Join(home, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for dir, mode := range map[string]fs.FileMode{home: 0o755, at: 0o755, filepath.Join(home, "cache"): 0o777} {
		if err := errors.Join(os.MkdirAll(dir, mode), os.Chmod(dir, mode)); err != nil {
			t.Fatal(err)
		}
	}
	out, err := do(t, home, "", "mount.davfs", davURL(c.boxes[1])+"/", at, "-o", "conf="+filepath.Join(home, "config"))
	if err != nil {
		t.Skipf("WebDAV folders cannot be mounted on this machine: what davfs2 would prove is not proved here: %v %s", err, strings.TrimSpace(out))
	}
	mounted := true
	unmount := func() {
		if !mounted {
			return
		}
		mounted = false
		if out, err := do(t, home, "", "umount.davfs", at); err != nil { // waits until all is written
			t.Errorf("unmount: %v %s", err, out)
			syscall.Unmount(at, syscall.MNT_DETACH)
		}
	}
	t.Cleanup(unmount)
	c.useMounted(t, filepath.Join(at, "mounted"))
	unmount()
	want := map[string]sum{
		"mounted/nest":         {},
		"mounted/nest/big.bin": drawnSum(7, 5<<20), "mounted/nest/moved.txt": sumOf("one line\nanother line\n"),
	}
	if got := c.tree(2, "mounted"); !maps.Equal(got, want) {
		t.Errorf("seen at another house: %v, want %v", got, want)
	}
}

// useMounted does below dir what people do with files.
func (c *circle) useMounted(t *testing.T, dir string) {
	t.Helper()
	big, err := io.ReadAll(drawn(7, 5<<20))
	if err != nil {
		t.Fatal(err)
	}
	nest := filepath.Join(dir, "nest")
	for _, step := range []func() error{
		func() error { return os.MkdirAll(nest, 0o755) },
		func() error { return os.WriteFile(filepath.Join(nest, "big.bin"), big, 0o644) },
		func() error { return os.WriteFile(filepath.Join(nest, "note.txt"), []byte("one line\n"), 0o644) },
		func() error {
			return exec.Command("sh", "-c", `echo another line >> "$1"`, "sh", filepath.Join(nest, "note.txt")).Run()
		},
		func() error { return os.Rename(filepath.Join(nest, "note.txt"), filepath.Join(nest, "moved.txt")) },
		func() error { return os.WriteFile(filepath.Join(nest, "gone.txt"), []byte("x"), 0o644) },
		func() error { return os.Remove(filepath.Join(nest, "gone.txt")) },
	} {
		if err := step(); err != nil {
			t.Error(err)
		}
	}
}

// restart ends all boxes in good order and starts them: everything is there, at every box.
func (c *circle) restart(t *testing.T) {
	c.awaitSafe(0)
	before := c.tree(0, "")
	if len(before) < 100 {
		t.Errorf("only %d files and folders were written", len(before))
	}
	child.StopAll(c.boxes...)
	for i := range c.boxes {
		c.start(i)
	}
	c.awaitSafe(2)
	for i := range c.boxes {
		if got := c.tree(i, ""); !maps.Equal(got, before) {
			t.Errorf("%s has %d files and folders, before the restart there were %d", boxNames()[i], len(got), len(before))
		}
	}
	t.Logf("%d files and folders are the same at %d boxes after the restart", len(before), len(c.boxes))
}
