// Package boardtest has boards as trees of files, for tests without the hardware.
package boardtest

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing/fstest"
)

//go:embed trees/*.txt
var trees embed.FS

// Names lists the boards: pi3, pi4, pi5, zero2w, pc, vm.
func Names() (names []string) {
	entries, err := trees.ReadDir("trees")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".txt"))
	}
	return names
}

// Tree returns a fresh copy of a board's /sys and /proc, rooted at /, to be changed
// as a test needs it. It panics on a name that is not in Names.
func Tree(name string) fstest.MapFS {
	b, err := trees.ReadFile("trees/" + name + ".txt")
	if err != nil {
		panic(err)
	}
	m, err := parse(string(b))
	if err != nil {
		panic(fmt.Errorf("%s: %w", name, err))
	}
	return m
}

// Set replaces the content of a file, or makes it.
func Set(m fstest.MapFS, name, content string) {
	m[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o444}
}

// parse reads lines of the forms "path: content", "path -> target of a link" and
// "path:" followed by indented lines. \0 stands for a zero byte, # begins a comment.
func parse(text string) (fstest.MapFS, error) {
	m := fstest.MapFS{}
	var open string
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "  ") && open != "":
			m[open].Data = append(m[open].Data, line[2:]+"\n"...)
		case line == "" || line[0] == '#':
		default:
			name, target, link := strings.Cut(line, " -> ")
			if link {
				m[name] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
				break
			}
			at := strings.LastIndex(line, ": ")
			open = ""
			if strings.HasSuffix(line, ":") {
				at, open = len(line)-1, line[:len(line)-1]
			}
			if at < 0 || !fs.ValidPath(line[:at]) || line[:at] != path.Clean(line[:at]) {
				return nil, fmt.Errorf("line %d: %q", i+1, line)
			}
			content := strings.TrimPrefix(line[at+1:], " ")
			if open == "" {
				content = strings.ReplaceAll(content, `\0`, "\x00") + "\n"
			}
			Set(m, line[:at], content)
		}
	}
	return m, nil
}
