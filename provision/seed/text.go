package seed

import (
	"slices"
	"strconv"
	"strings"
)

// The two files that people write by hand, with whatever editor is there.
const (
	wifiFile  = "redhen-wifi.txt"
	resetFile = "redhen-reset.txt"
)

// readWifiText reads Wi-Fi networks. Either lines "name: …", "password: …",
// "country: …", "hidden: yes", each name beginning a new network; or just the name
// on one line and the password on the next. Lines that begin with # mean nothing.
func readWifiText(b []byte, p *problems) (s Seed) {
	lines := textLines(b)
	if len(lines) == 0 {
		p.broken(Problem{Code: Empty})
		return s
	}
	if !slices.ContainsFunc(lines, func(l textLine) bool { return l.key != "" }) {
		return readTwoLines(lines, p)
	}
	var names []int // where networks begin
	for i, l := range lines {
		if l.key == "name" {
			names = append(names, i)
		}
	}
	switch {
	case len(names) == 1:
		names[0] = 0 // of one network the lines may come in any order
	case len(names) > 1 && lines[0].key == "password":
		p.broken(Problem{Line: lines[0].number, Code: PasswordFirst})
		return s
	}
	for i, from := range names {
		to := len(lines)
		if i+1 < len(names) {
			to = names[i+1]
		}
		readBlock(lines[from:to], &s, p)
	}
	if len(s.Wifi) == 0 && !p.lost {
		p.broken(Problem{Code: NoNetwork})
	}
	return s
}

// readBlock reads the lines of one network.
func readBlock(lines []textLine, s *Seed, p *problems) {
	var w Wifi
	ok := true
	for _, l := range lines {
		switch l.key {
		case "name":
			ok = p.text(l.number, "name", l.value, checkSSID, &w.SSID)
		case "password":
			if wrong := w.setKey(l.value); wrong != "" {
				p.broken(Problem{Line: l.number, Code: wrong})
				ok = false
			}
		case "hidden":
			w.Hidden = isYes(l.value)
		case "country":
			p.text(l.number, "country", l.value, checkCountry, &w.Country)
			s.Country = w.Country
		default:
			p.broken(Problem{Line: l.number, Code: OddLine})
		}
	}
	if ok && w.SSID != "" {
		s.addWifi(w, p, lines[0].number)
	}
}

func readTwoLines(lines []textLine, p *problems) (s Seed) {
	var w Wifi
	if !p.text(lines[0].number, "name", lines[0].value, checkSSID, &w.SSID) {
		return s
	}
	if len(lines) > 1 {
		if wrong := w.setKey(lines[1].value); wrong != "" {
			p.broken(Problem{Line: lines[1].number, Code: wrong})
			return s
		}
	}
	if len(lines) > 2 {
		p.note(Problem{Line: lines[2].number, Code: MoreLines})
	}
	s.addWifi(w, p, lines[0].number)
	return s
}

func readResetText(b []byte, p *problems) (s Seed) {
	s.Reset.Wanted = true
	for _, l := range textLines(b) {
		if l.key == "password" {
			p.text(l.number, "password", l.value, checkPassword, (*string)(&s.Reset.Password))
		}
	}
	return s
}

type textLine struct {
	number int
	key    string // name, password, country or hidden; empty when the line begins with none of them
	value  string
}

// words that people use for the same thing
func keyWord(s string) string {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "name", "ssid", "network", "wifi", "wi-fi", "wlan":
		return "name"
	case "password", "passphrase", "pass", "key", "psk":
		return "password"
	case "country":
		return "country"
	case "hidden":
		return "hidden"
	}
	return ""
}

func textLines(b []byte) (all []textLine) {
	for i, line := range strings.Split(string(b), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		l := textLine{number: i + 1, value: line}
		if at := strings.IndexAny(line, ":="); at >= 0 {
			if l.key = keyWord(line[:at]); l.key != "" {
				l.value = unquote(strings.TrimSpace(line[at+1:]))
			}
		}
		all = append(all, l)
	}
	return all
}

// unquote strips one pair of straight quotes.
func unquote(s string) string {
	if n := len(s); n >= 2 && (s[0] == '"' || s[0] == '\'') && s[n-1] == s[0] {
		return s[1 : n-1]
	}
	return s
}

func isYes(s string) bool {
	yes, err := strconv.ParseBool(s)
	return yes && err == nil || strings.EqualFold(s, "yes") || strings.EqualFold(s, "y")
}
