package catalog

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// fold returns the form of a name that is equal for names which differ in case
// only: in one directory only one of them can stand, so that a space fits every
// file system. A test guards the table: if a new Unicode version changes it, boxes
// with the old one would disagree.
func fold(name string) string {
	for i := range len(name) {
		if c := name[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return strings.Map(foldRune, name)
		}
	}
	return name
}

func foldRune(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }

// besideName returns the name under which a write's content stands beside another
// that has its name: "name (kept at Oak Street, 12 Nov).ext". try counts from 1.
func besideName(name, where string, at int64, try int) string {
	stem, ext := splitExt(name)
	if i := strings.LastIndex(stem, besideMark); i > 0 && strings.HasSuffix(stem, ")") {
		stem = stem[:i] // not one mark behind the other
	}
	mark := strings.Builder{}
	mark.WriteString(besideMark)
	if where = strings.Map(nameRune, where); where != "" {
		mark.WriteString(" at " + where)
	}
	mark.WriteString(time.UnixMilli(at).UTC().Format(", 2 Jan"))
	if try > 1 {
		mark.WriteString(", " + strconv.Itoa(try))
	}
	mark.WriteString(")")
	return cutName(stem, MaxName-mark.Len()-len(ext)) + mark.String() + ext
}

const besideMark = " (kept"

// nameRune drops what a name may not have.
func nameRune(r rune) rune {
	switch {
	case r == '/':
		return '-'
	case unicode.IsControl(r) || r == utf8.RuneError:
		return -1
	}
	return r
}

// splitExt splits off an ending like ".jpg"; a name that is all ending has none.
func splitExt(name string) (stem, ext string) {
	i := strings.LastIndexByte(name, '.')
	if i <= 0 || len(name)-i > 16 || strings.ContainsRune(name[i:], ' ') {
		return name, ""
	}
	return name[:i], name[i:]
}

// cutName shortens s to at most n bytes between two characters.
func cutName(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
