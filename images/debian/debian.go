// Package debian takes what an image needs out of Debian's packages: the programs for
// Wi-Fi with their libraries, the firmware of radios, and the rules of countries for
// them. Each package is pinned by version and hash in pins.txt, and comes by apt from
// the mirror that the computer uses anyway.
package debian

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

// Suite is the release of Debian that packages come from, whatever the computer that
// bakes runs.
const Suite = "trixie"

// Pin is one package as it went into the images.
type Pin struct {
	Name, Version string
	Arch          string // Debian's word: amd64, arm64
	Sum           string // SHA-256 of the package, in hex
}

// String is the line of a pin in pins.txt.
func (p Pin) String() string {
	return strings.Join([]string{p.Name, p.Version, p.Arch, p.Sum}, " ")
}

//go:embed pins.txt
var pinned string

// Pins returns all pins.
func Pins() ([]Pin, error) { return parsePins(pinned) }

func parsePins(text string) (all []Pin, err error) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		f := strings.Fields(line)
		if len(f) != 4 || len(f[3]) != 64 {
			return nil, fmt.Errorf("pins of Debian's packages: line %q: want name, version, architecture, SHA-256", line)
		}
		all = append(all, Pin{f[0], f[1], f[2], f[3]})
	}
	return all, nil
}

// pinOf returns the pin of a package, false when it has none.
func pinOf(all []Pin, name, arch string) (Pin, bool) {
	i := slices.IndexFunc(all, func(p Pin) bool { return p.Name == name && p.Arch == arch })
	if i < 0 {
		return Pin{}, false
	}
	return all[i], true
}
