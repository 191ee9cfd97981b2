package boardtest

import (
	"io/fs"
	"testing"
)

func TestTreesAreWhole(t *testing.T) {
	if got := len(Names()); got != 6 {
		t.Errorf("%d trees", got)
	}
	for _, name := range Names() {
		m := Tree(name)
		for path, f := range m {
			if f.Mode&fs.ModeSymlink == 0 {
				continue
			}
			if _, err := fs.Stat(m, path); err != nil {
				t.Errorf("%s: link %s -> %s: %v", name, path, f.Data, err)
			}
		}
		Set(m, "proc/uptime", "1.0 1.0\n")
		if b, err := fs.ReadFile(Tree(name), "proc/uptime"); err != nil || string(b) == "1.0 1.0\n" {
			t.Errorf("%s: two trees share a file, %v", name, err)
		}
	}
}

func TestParse(t *testing.T) {
	m, err := parse("# c\n\na/b: x\\0y\nl -> a\nlong:\n  1: one\n    2\nempty: \n")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a/b": "x\x00y\n", "l/b": "x\x00y\n", "long": "1: one\n  2\n", "empty": "\n"} {
		if b, err := fs.ReadFile(m, name); err != nil || string(b) != want {
			t.Errorf("%s: got %q, %v", name, b, err)
		}
	}
	for _, bad := range []string{"nothing", "/a: x", "a//b: x", "  indented"} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}
