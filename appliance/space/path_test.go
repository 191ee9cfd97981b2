package space

import (
	"errors"
	"strings"
	"testing"
)

func TestClean(t *testing.T) {
	tests := map[string]string{
		"":                "/",
		"/":               "/",
		"//":              "/",
		"a":               "/a",
		"/a/":             "/a",
		"//a//b/./c/":     "/a/b/c",
		"/Cafe\u0301.txt": "/Caf\u00e9.txt",
		"/ a ":            "/ a ",
		"/a\\b":           "/a\\b",
	}
	for in, want := range tests {
		got, err := Clean(in)
		if err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", in, got, err, want)
		}
		if again, err := Clean(got); err != nil || again != got {
			t.Errorf("%q: cleaning again gives %q, %v", got, again, err)
		}
	}
}

func TestCleanRefuses(t *testing.T) {
	for _, in := range []string{
		"..", "/a/../b", "/a/..", "/a\x00b", "/a\nb", "/a\x7fb", "/\xff", "/" + strings.Repeat("x", 256),
		strings.Repeat("/a", 65), "/" + strings.Repeat("\u0958", 60), // grows to 6 bytes each in NFC
	} {
		if got, err := Clean(in); !errors.Is(err, ErrBadName) {
			t.Errorf("%q: got %q, %v; want ErrBadName", in, got, err)
		}
	}
}

func TestSplitAndJoin(t *testing.T) {
	for p, want := range map[string][2]string{"/": {"/", ""}, "/a": {"/", "a"}, "/a/b": {"/a", "b"}} {
		dir, name := Split(p)
		if dir != want[0] || name != want[1] {
			t.Errorf("%s: got %q, %q", p, dir, name)
		}
		if name != "" && Join(dir, name) != p {
			t.Errorf("%s: joined %q", p, Join(dir, name))
		}
	}
}

func TestWithin(t *testing.T) {
	for _, c := range []struct {
		p, dir string
		want   bool
	}{{"/a", "/", true}, {"/a", "/a", true}, {"/a/b", "/a", true}, {"/ab", "/a", false}, {"/", "/a", false}} {
		if got := Within(c.p, c.dir); got != c.want {
			t.Errorf("%s within %s: got %v", c.p, c.dir, got)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("/a/b/../c")
	f.Add("/Cafe\u0301")
	f.Fuzz(func(t *testing.T, p string) {
		got, err := Clean(p)
		if err != nil {
			return
		}
		if again, err := Clean(got); err != nil || again != got {
			t.Errorf("%q: cleaned %q, again %q, %v", p, got, again, err)
		}
		if !strings.HasPrefix(got, "/") || strings.Contains(got, "//") || Within(got, "/..") {
			t.Errorf("%q: cleaned to %q", p, got)
		}
	})
}
