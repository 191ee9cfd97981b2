package seed

import (
	"bytes"
	"strings"
)

// cmdlineFile is the kernel's command line on a Raspberry Pi.
const cmdlineFile = "cmdline.txt"

// cmdlineCountry returns the country of the radio that Imager writes into the
// kernel's command line when no Wi-Fi is set; empty when there is none.
func cmdlineCountry(b []byte) string {
	for _, word := range strings.Fields(string(b)) {
		if v, ok := strings.CutPrefix(word, "cfg80211.ieee80211_regdom="); ok {
			c, _ := checkCountry(v)
			return c
		}
	}
	return ""
}

// readCmdline takes the country from the command line where nothing else names one.
func (im *importer) readCmdline() {
	name := im.cmdline()
	if name == "" || im.result.Seed.Country != "" {
		return
	}
	if b, _, err := readFile(im.card, name); err == nil {
		im.result.Seed.Country = cmdlineCountry(b)
	}
}

// fixCmdline gives the command line the newline at its end that Imager takes away
// and that the tools which switch between two systems look for. It only appends one
// byte: a torn write leaves a line that starts the box as before.
func (im *importer) fixCmdline() {
	name := im.cmdline()
	if name == "" {
		return
	}
	b, size, err := readFile(im.card, name)
	if err != nil || size == 0 || size > MaxFile || bytes.HasSuffix(b, []byte("\n")) {
		return
	}
	h, err := im.card.Open(name)
	if err == nil {
		defer h.Close()
		err = writeSync(h, []byte("\n"), size)
	}
	if err != nil {
		im.problem(Problem{File: name, Code: NoLineEnd})
	}
}

func (im *importer) cmdline() string {
	for _, name := range im.names {
		if strings.EqualFold(name, cmdlineFile) {
			return name
		}
	}
	return ""
}
