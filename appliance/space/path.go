package space

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	maxName  = 255 // bytes of one name
	maxDepth = 64  // names in one path
)

// Clean returns p in the one form that all doors use: "/" for the root, else
// "/a/b" without a slash at the end, in NFC (a Mac sends NFD). Empty names and "."
// are dropped. Everything that could not be a name is ErrBadName; so is "..", for no
// honest client sends it.
func Clean(p string) (string, error) {
	if !utf8.ValidString(p) {
		return "", fmt.Errorf("%w: not UTF-8", ErrBadName)
	}
	var b strings.Builder
	depth := 0
	for name := range strings.SplitSeq(p, "/") {
		if name == "" || name == "." {
			continue
		}
		name = norm.NFC.String(name)
		if err := CheckName(name); err != nil {
			return "", err
		}
		if depth++; depth > maxDepth {
			return "", fmt.Errorf("%w: more than %d folders deep", ErrBadName, maxDepth)
		}
		b.WriteByte('/')
		b.WriteString(name)
	}
	if depth == 0 {
		return "/", nil
	}
	return b.String(), nil
}

// CheckName reports with ErrBadName why a file cannot bear the name.
func CheckName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("%w: %q", ErrBadName, name)
	case len(name) > maxName:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrBadName, len(name), maxName)
	case strings.ContainsRune(name, '/') || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%w: %q", ErrBadName, name)
	}
	return nil
}

// Split returns the directory and the last name of a clean path; for the root, "/" and "".
func Split(p string) (dir, name string) {
	i := strings.LastIndexByte(p, '/')
	return p[:max(i, 1)], p[i+1:]
}

// Join returns the path of a name in a directory.
func Join(dir, name string) string {
	if dir == "/" {
		return "/" + name
	}
	return dir + "/" + name
}

// Within reports whether the clean path p is dir or below it.
func Within(p, dir string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, dir+"/")
}
