package seed

import (
	"path"
	"slices"
	"strings"
)

// readFirstRun finds the settings in the firstrun.sh of Imager 1.x: the arguments of
// imager_custom and userconf, and, in scripts without them, the wpa_supplicant.conf
// that the script would write. Nothing is run, and no variable is expanded.
func readFirstRun(b []byte, p *problems) (s Seed) {
	lines := strings.Split(string(b), "\n")
	var supplicant Wifi
	for i := 0; i < len(lines); i++ {
		words, ok := shellWords(lines[i])
		if !ok {
			if strings.Contains(lines[i], "set_wlan") {
				p.broken(Problem{Line: i + 1, Code: BadScript})
			}
			continue
		}
		if end := heredoc(words); end != "" {
			body := lines[i+1:]
			if n := slices.Index(body, end); n >= 0 {
				body = body[:n]
			}
			if strings.Contains(lines[i], "wpa_supplicant.conf") {
				supplicant = readSupplicant(body)
			}
			i += len(body)
			continue
		}
		readCommand(words, i+1, &s, p)
	}
	if len(s.Wifi) == 0 && supplicant.SSID != "" {
		s.addWifi(supplicant, p, 0)
		s.Country = supplicant.Country
	}
	return s
}

func readCommand(words []string, line int, s *Seed, p *problems) {
	if len(words) < 2 {
		return
	}
	arg := func(n int) string {
		if n < len(words) {
			return words[n]
		}
		return ""
	}
	switch path.Base(words[0]) + " " + words[1] {
	case "imager_custom set_hostname":
		p.text(line, "set_hostname", arg(2), hostName, &s.Box)
		return
	case "imager_custom set_timezone":
		p.text(line, "set_timezone", arg(2), checkZone, &s.TimeZone)
		return
	case "imager_custom set_wlan":
		readSetWLAN(words[2:], line, s, p)
		return
	}
	if path.Base(words[0]) == "userconf" {
		p.text(line, "userconf", arg(1), checkLogin, &s.Keeper)
		if arg(2) != "" {
			p.note(Problem{Line: line, Code: FirstLogin})
		}
	}
}

// readSetWLAN reads "[-h] [-p] SSID KEY COUNTRY".
func readSetWLAN(args []string, line int, s *Seed, p *problems) {
	var w Wifi
	for len(args) > 0 && len(args[0]) == 2 && args[0][0] == '-' {
		w.Hidden = w.Hidden || args[0] == "-h"
		args = args[1:]
	}
	args = append(slices.Clone(args), "", "", "")
	p.text(line, "set_wlan", args[2], checkCountry, &w.Country)
	s.Country = w.Country
	if !p.text(line, "set_wlan", args[0], checkSSID, &w.SSID) {
		return
	}
	if wrong := w.setKey(args[1]); wrong != "" {
		p.broken(Problem{Line: line, Network: w.SSID, Code: wrong})
		return
	}
	s.addWifi(w, p, line)
}

// readSupplicant reads the one network of a wpa_supplicant.conf as Imager writes it.
func readSupplicant(lines []string) (w Wifi) {
	var wrong Code
	for _, line := range lines {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok {
			continue
		}
		bare := strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(strings.TrimSuffix(strings.TrimPrefix(value, `"`), `"`))
		switch key {
		case "country":
			w.Country, _ = checkCountry(value)
		case "ssid":
			w.SSID, _ = checkSSID(bare)
		case "psk":
			wrong = w.setKey(bare)
		case "scan_ssid":
			w.Hidden = value == "1"
		}
	}
	if wrong != "" {
		return Wifi{}
	}
	return w
}

// heredoc returns the word that ends the here-document which a command begins.
func heredoc(words []string) string {
	for i, w := range words {
		if end, ok := strings.CutPrefix(w, "<<"); ok {
			if end == "" && i+1 < len(words) {
				end = words[i+1]
			}
			return strings.TrimPrefix(end, "-")
		}
	}
	return ""
}

// shellWords splits one line as a POSIX shell does: blanks, quotes, backslashes,
// comments. It returns false when a quote is still open at the end.
func shellWords(line string) (words []string, ok bool) {
	var word strings.Builder
	var quote rune
	started, escaped := false, false
	flush := func() {
		if started {
			words = append(words, word.String())
		}
		word.Reset()
		started = false
	}
	for _, r := range line {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, started = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, started = r, true
		case r == ' ' || r == '\t':
			flush()
		case r == '#' && !started:
			return words, true
		default:
			word.WriteRune(r)
			started = true
		}
	}
	flush()
	return words, quote == 0
}
