package seed

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The three files of cloud-init's NoCloud source, as Raspberry Pi Imager writes them
// (init formats cloudinit and cloudinit-rpi; shapes seen in its customization
// generator of 1.8 to 2.0.11) and as the cloud-init manual allows them.

func readMetaData(b []byte, p *problems) (s Seed) {
	root := openYAML(b, p)
	if v, ok := root.value("local-hostname"); ok {
		p.text(v.Line, "local-hostname", v.Value, hostName, &s.Box)
	}
	return s
}

func readUserData(b []byte, p *problems) (s Seed) {
	root := openYAML(b, p)
	for _, key := range []string{"hostname", "fqdn"} {
		if v, ok := root.value(key); ok && s.Box == "" {
			p.text(v.Line, key, v.Value, hostName, &s.Box)
		}
	}
	if v, ok := root.value("timezone"); ok {
		p.text(v.Line, "timezone", v.Value, checkZone, &s.TimeZone)
	}
	users, _ := root.get("users")
	for _, u := range users.items() {
		name, ok := u.value("name")
		if !ok {
			continue // "default", or a group
		}
		p.text(name.Line, "name", name.Value, checkLogin, &s.Keeper)
		if pw, ok := u.get("passwd"); ok {
			p.note(Problem{Line: pw.Line, Code: FirstLogin})
		}
		break // the first one keeps the box
	}
	return s
}

func readNetworkConfig(b []byte, p *problems) (s Seed) {
	root := openYAML(b, p)
	if inner, ok := root.get("network"); ok {
		root = inner
	}
	ethernets, _ := root.get("ethernets")
	for _, dev := range ethernets.pairs() {
		if a, ok := dev.node.get("addresses"); ok {
			p.note(Problem{Line: a.Line, Code: FixedAddress})
		}
	}
	wifis, _ := root.get("wifis")
	for _, dev := range wifis.pairs() {
		country := ""
		if v, ok := dev.node.value("regulatory-domain"); ok {
			p.text(v.Line, "regulatory-domain", v.Value, checkCountry, &country)
		}
		aps, _ := dev.node.get("access-points")
		for n, ap := range aps.pairs() {
			if n == 4*MaxNetworks {
				p.broken(Problem{Line: ap.key.Line, Code: ManyNetworks, N: n})
				break
			}
			if w, ok := readAccessPoint(ap, b, p); ok {
				w.Country = country
				s.addWifi(w, p, ap.key.Line)
			}
		}
		if s.Country == "" {
			s.Country = country
		}
	}
	return s
}

func readAccessPoint(ap yamlPair, source []byte, p *problems) (w Wifi, ok bool) {
	line := ap.key.Line
	if !p.text(line, "access-points", ssidBytes(ap.key, source), checkSSID, &w.SSID) {
		return w, false
	}
	auth, _ := ap.node.get("auth")
	if m, ok := auth.value("key-management"); ok && !slices.Contains([]string{"none", "psk", "sae", "owe"}, m.Value) {
		p.broken(Problem{Line: m.Line, Network: w.SSID, Code: UserName})
		return w, false
	}
	key, ok := ap.node.value("password")
	if !ok {
		key, _ = auth.value("password")
	}
	if key.Node != nil {
		if wrong := w.setKey(key.Value); wrong != "" {
			p.broken(Problem{Line: key.Line, Network: w.SSID, Code: wrong})
			return w, false
		}
	}
	if h, ok := ap.node.value("hidden"); ok {
		w.Hidden, _ = strconv.ParseBool(h.Value)
	}
	return w, true
}

// ssidBytes returns an SSID as the bytes that are on the air. Imager writes each
// byte beyond ASCII as \xHH in a quoted key, which YAML reads as a code point.
func ssidBytes(key yamlNode, source []byte) string {
	if key.Style&yaml.DoubleQuotedStyle == 0 || !strings.Contains(lineOf(source, key.Line), `\x`) {
		return key.Value
	}
	var b []byte
	for _, r := range key.Value {
		if r > 0xff {
			return key.Value
		}
		b = append(b, byte(r))
	}
	return string(b)
}

func lineOf(b []byte, n int) string {
	for line := range strings.Lines(string(b)) {
		if n--; n == 0 {
			return line
		}
	}
	return ""
}

// hostName reads a host name as the name of a box: its first label.
func hostName(s string) (string, Code) {
	s, _, _ = strings.Cut(s, ".")
	return checkName(s)
}

// text reads a text by its rule, as tomlTable.text does.
func (p *problems) text(line int, field, value string, check func(string) (string, Code), to *string) bool {
	if value == "" {
		return false
	}
	v, wrong := check(value)
	if wrong != "" {
		p.broken(Problem{Line: line, Field: field, Code: wrong})
		return false
	}
	*to = v
	return true
}

// yamlNode is a node that may be missing, so that a path can be followed without
// asking at each step. Nodes are walked rather than decoded: order stays, an SSID
// such as 1234 or "yes" stays a text, and nothing expands aliases.
type yamlNode struct{ *yaml.Node }

type yamlPair struct{ key, node yamlNode }

func openYAML(b []byte, p *problems) yamlNode {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		line := 0
		if m := regexp.MustCompile(`line (\d+)`).FindStringSubmatch(err.Error()); m != nil {
			line, _ = strconv.Atoi(m[1])
		}
		p.broken(Problem{Line: line, Code: BadRest})
		return yamlNode{}
	}
	if len(doc.Content) == 0 {
		return yamlNode{} // empty, or comments only
	}
	root := yamlNode{doc.Content[0]}
	if root.Kind != yaml.MappingNode {
		p.broken(Problem{Line: root.Line, Code: Foreign})
		return yamlNode{}
	}
	return root
}

// get returns the value of a key; of a key that stands twice, the last one.
func (n yamlNode) get(key string) (v yamlNode, ok bool) {
	for _, pair := range n.pairs() {
		if pair.key.Value == key {
			v, ok = pair.node, true
		}
	}
	return v, ok
}

// value is get for a single value.
func (n yamlNode) value(key string) (yamlNode, bool) {
	v, ok := n.get(key)
	if !ok || v.Kind != yaml.ScalarNode || v.Tag == "!!null" {
		return yamlNode{}, false
	}
	return v, true
}

func (n yamlNode) pairs() (all []yamlPair) {
	if n.Node == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Kind == yaml.ScalarNode {
			all = append(all, yamlPair{yamlNode{n.Content[i]}, yamlNode{n.Content[i+1]}})
		}
	}
	return all
}

func (n yamlNode) items() (all []yamlNode) {
	if n.Node == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	for _, c := range n.Content {
		all = append(all, yamlNode{c})
	}
	return all
}
