package seed

import (
	"fmt"
	"strings"
)

// Problem is one thing on the card that is not as it should be: facts, for whoever says
// it to people. Of Field, Network and N the zero value means that it is about none.
type Problem struct {
	File    string
	Line    int  // from 1; 0 when it is about the file as a whole
	Broken  bool // a setting was lost; otherwise only something to know
	Code    Code
	Field   string // the setting, as the file has it: "wlan.country"
	Network string // SSID of the Wi-Fi; need not be UTF-8
	N       int    // the limit that was passed, or which entry of a list, from 1
}

// Code says what is wrong.
type Code string

// What can be wrong with a setting, wherever it stands.
const (
	BadName     Code = "name" // of a circle, house or box
	BadLogin    Code = "login"
	BadTicket   Code = "ticket" // not whole
	BadClaim    Code = "claim"  // no hash of a claim code
	BadZone     Code = "zone"
	BadCountry  Code = "country"
	BadSetup    Code = "setup"    // password of the box's own network
	BadPassword Code = "password" // of the keeper
	BadSSID     Code = "ssid"
	BadKey      Code = "key"      // password of a Wi-Fi
	BadHex      Code = "hex-ssid" // the name of a Wi-Fi in hex digits
	TooLong     Code = "long"     // a text without a rule of its own
	BadKind     Code = "kind"     // a number where a text belongs, and so on
	Unknown     Code = "unknown"  // no setting of ours
)

// What can be wrong with networks and ways.
const (
	Nameless     Code = "nameless"       // a network without a name
	ManyNetworks Code = "many-networks"  // more than N
	UserName     Code = "user-name"      // the network asks for one
	NeedsText    Code = "needs-text"     // WPA3 needs the password, and only the key made of it is here
	ManyWays     Code = "many-ways"      // more than N
	BadWay       Code = "way"            // number N
	FixedAddress Code = "fixed-address"  // for the cable; not used
	FirstLogin   Code = "first-password" // the hash of a login's password; not used
)

// What can be wrong with a file.
const (
	Empty         Code = "empty"          // one for a Wi-Fi
	PasswordFirst Code = "password-first" // above the first name of several
	NoNetwork     Code = "no-network"     // no line has a name
	OddLine       Code = "odd-line"       // begins with no word that is known
	MoreLines     Code = "more-lines"     // than name and password
	TooLarge      Code = "large"          // more than N KiB
	NotText       Code = "not-text"
	Newer         Code = "newer"        // made for a newer redhen
	NewerImager   Code = "newer-imager" // made by one
	Nested        Code = "nested"       // deeper than any settings file
	BadLine       Code = "bad-line"     // of TOML
	BadRest       Code = "bad-rest"     // YAML from here on
	Foreign       Code = "foreign"      // YAML with nothing of ours
	BadScript     Code = "bad-script"   // the Wi-Fi line of a script
	UnknownFile   Code = "unknown-file" // its name looks like ours
)

// What can be wrong with the card or with what is kept.
const (
	Unread    Code = "unread"     // a file cannot be read
	Unlisted  Code = "unlisted"   // the files cannot be listed
	NotWiped  Code = "not-wiped"  // secrets are still in the file
	NoLineEnd Code = "line-end"   // the kernel's command line could not be mended
	Damaged   Code = "damaged"    // what was kept from before
	NotListed Code = "not-listed" // what was read could not be kept
)

// String names place, code and facts, for a log.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ", line %d", p.Line)
		}
		b.WriteString(": ")
	}
	b.WriteString(string(p.Code))
	if p.Field != "" {
		fmt.Fprintf(&b, " field=%s", p.Field)
	}
	if p.Network != "" {
		fmt.Fprintf(&b, " network=%q", p.Network)
	}
	if p.N != 0 {
		fmt.Fprintf(&b, " n=%d", p.N)
	}
	return b.String()
}

// problems collects what one file had.
type problems struct {
	file string
	list []Problem
	lost bool // a setting was lost
}

func (p *problems) broken(x Problem) {
	p.lost, x.Broken = true, true
	p.note(x)
}

func (p *problems) note(x Problem) {
	if len(p.list) < maxProblems {
		x.File = p.file
		p.list = append(p.list, x)
	}
}
