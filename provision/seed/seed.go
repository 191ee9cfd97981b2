// Package seed is the settings that a card carries before its box first starts:
// read in every format that people and Raspberry Pi Imager write, taken over to
// the data partition once, and then wiped of secrets. Nothing in it ever keeps a
// box from starting: what is broken becomes a Problem.
package seed

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"math/big"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/provision/ticket"
)

// Limits of what is read. What is over a limit is left out with a Problem.
const (
	MaxFile     = 64 << 10 // bytes of one file
	MaxNetworks = 16       // Wi-Fi networks of one seed
	MaxWays     = 16       // ways to the inviter of one seed
	maxText     = 256      // bytes of a text field without a rule of its own
	maxSSID     = 32       // bytes (IEEE 802.11)
	maxProblems = 50       // of one file
)

// Secret is a text that no log and no %v shows. Convert it to string to use it.
type Secret string

// Format prints no secret, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) {
	if s != "" {
		fmt.Fprint(f, "secret")
	}
}

// Wifi is one network that the box may join. A network without Passphrase and
// PMK is open; at most one of the two is set.
type Wifi struct {
	SSID       string // 1–32 bytes; need not be UTF-8
	Passphrase Secret // 8–63 bytes
	PMK        Secret // 64 lower-case hex digits: the key that PBKDF2 makes of passphrase and SSID, used as it is
	Hidden     bool   // does not announce itself
	Country    string // two capital letters, empty: Seed.Country
}

// Open reports whether the network has no key.
func (w Wifi) Open() bool { return w.Passphrase == "" && w.PMK == "" }

// Reset asks for a new password of this box's keeper. Who can put a file on the
// card holds the box in hand.
type Reset struct {
	Wanted   bool
	Password Secret // empty: the keeper sets one on the box's page, with the code on its screen
}

// Way is an address of the inviter's box, or of one that relays to it: a gift's ticket
// lives for weeks and carries only three addresses.
type Way struct {
	Box  ident.BoxID
	Addr netip.AddrPort
}

// String returns the way as it stands in redhen.toml.
func (w Way) String() string { return string(w.Box) + "@" + w.Addr.String() }

// Seed is the settings. Every field may be empty: a seed says as much as it says.
type Seed struct {
	Circle    string // name of the circle to begin, when there is no ticket
	House     string // roster.CheckName holds for Circle, House and Box
	Box       string
	Keeper    string // login of the keeper: 1–32 of a–z 0–9 . - _
	Password  Secret // of the keeper, for Circle; empty: the keeper chooses it on the box's page
	Ticket    Secret // gift ticket as ticket.Text
	Ways      []Way  // to the box that made Ticket, beside those in it
	ClaimHash string // HashClaim of the claim code on the gift card
	TimeZone  string // "Europe/Berlin"
	Country   string // two capital letters: where the radio is
	Wifi      []Wifi // best first, each SSID once
	Setup     Secret // password of the network that the box opens itself while it is on no other, 8–63 bytes
	Reset     Reset
}

// IsZero reports whether the seed says nothing.
func (s Seed) IsZero() bool {
	return len(s.Wifi) == 0 && s.same(Seed{})
}

// same compares all but the networks.
func (s Seed) same(o Seed) bool {
	return s.Circle == o.Circle && s.House == o.House && s.Box == o.Box && s.Keeper == o.Keeper &&
		s.Ticket == o.Ticket && s.Password == o.Password && slices.Equal(s.Ways, o.Ways) && s.ClaimHash == o.ClaimHash && s.TimeZone == o.TimeZone &&
		s.Country == o.Country && s.Setup == o.Setup && s.Reset == o.Reset
}

// Equal reports whether two seeds say the same.
func (s Seed) Equal(o Seed) bool { return s.same(o) && slices.Equal(s.Wifi, o.Wifi) }

// Over returns s with what older says where s says nothing. Networks of both are
// kept, those of s first; for a network that both name, what s says holds.
func (s Seed) Over(older Seed) Seed {
	for _, f := range []struct {
		to   *string
		from string
	}{
		{&s.Circle, older.Circle}, {&s.House, older.House}, {&s.Box, older.Box}, {&s.Keeper, older.Keeper},
		{&s.ClaimHash, older.ClaimHash}, {&s.TimeZone, older.TimeZone}, {&s.Country, older.Country},
	} {
		if *f.to == "" {
			*f.to = f.from
		}
	}
	if s.Ticket == "" {
		s.Ticket, s.Ways = older.Ticket, older.Ways
	}
	if s.Password == "" {
		s.Password = older.Password
	}
	if s.Setup == "" {
		s.Setup = older.Setup
	}
	if !s.Reset.Wanted {
		s.Reset = older.Reset
	}
	s.Wifi = slices.Clone(s.Wifi)
	for _, w := range older.Wifi {
		if len(s.Wifi) < MaxNetworks && !slices.ContainsFunc(s.Wifi, func(x Wifi) bool { return x.SSID == w.SSID }) {
			s.Wifi = append(s.Wifi, w)
		}
	}
	return s
}

// Public returns the seed without its secrets, and what belongs to them: no ticket, no
// ways, no keys, no password.
func (s Seed) Public() Seed {
	s.Ticket, s.Ways, s.Password, s.Reset.Password, s.ClaimHash, s.Setup = "", nil, "", "", "", ""
	s.Wifi = slices.Clone(s.Wifi)
	for i := range s.Wifi {
		s.Wifi[i].Passphrase, s.Wifi[i].PMK = "", ""
	}
	return s
}

// SetupName is the name of the network that the box opens itself: "redhen-" and four
// signs made of its password, so that who prints the gift card can know it.
func (s Seed) SetupName() string {
	sum := sha256.Sum256([]byte("redhen setup\x00" + string(s.Setup)))
	return "redhen-" + strings.ToUpper(hex.EncodeToString(sum[:2]))
}

// setupSigns are those of a Seed.Setup: none looks like another.
const setupSigns = "abcdefghjkmnpqrstuvwxyz23456789"

// NewSetup draws a password for Seed.Setup: ten signs, about 49 bits, which guards a
// network that is open for minutes.
func NewSetup() Secret {
	b := make([]byte, 10)
	for i := range b {
		n, _ := rand.Int(rand.Reader, big.NewInt(int64(len(setupSigns)))) // never fails (crypto/rand, Go 1.24)
		b[i] = setupSigns[n.Int64()]
	}
	return Secret(b)
}

// HashClaim returns what a seed carries of a claim code: 64 hex digits, the
// SHA-256 of the code in capitals without spaces and hyphens. Empty gives empty.
func HashClaim(code string) string {
	code = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '-' {
			return -1
		}
		return unicode.ToUpper(r)
	}, code)
	if code == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("redhen claim\x00" + code))
	return hex.EncodeToString(sum[:])
}

// Claims reports whether code is the claim code of this seed. A seed without one
// is claimed by no code.
func (s Seed) Claims(code string) bool {
	return s.ClaimHash != "" && subtle.ConstantTimeCompare([]byte(s.ClaimHash), []byte(HashClaim(code))) == 1
}

// The rules of the fields. Each returns the value as it is kept, or says
// what is wrong with it.

func checkName(s string) (string, Code) {
	s = norm.NFC.String(strings.TrimSpace(s)) // a Mac writes decomposed letters
	if err := roster.CheckName(s); err != nil {
		return "", BadName
	}
	return s, ""
}

func checkLogin(s string) (string, Code) {
	s = strings.ToLower(strings.TrimSpace(s))
	if !regexp.MustCompile(`^[a-z0-9._-]{1,32}$`).MatchString(s) {
		return "", BadLogin
	}
	return s, ""
}

func checkTicket(s string) (string, Code) {
	t, err := ticket.Parse(s)
	if err != nil {
		return "", BadTicket
	}
	return t.Text(), ""
}

// parseWay reads what Way.String wrote.
func parseWay(s string) (w Way, ok bool) {
	box, addr, _ := strings.Cut(s, "@")
	id, err := ident.ParseBoxID(box)
	if err != nil {
		return w, false
	}
	at, err := netip.ParseAddrPort(addr)
	return Way{id, at}, err == nil && at.Port() != 0 && at.Addr().Zone() == ""
}

func checkClaim(s string) (string, Code) {
	if s = strings.ToLower(s); !isHex(s, 64) {
		return "", BadClaim
	}
	return s, ""
}

func checkZone(s string) (string, Code) {
	if !regexp.MustCompile(`^[A-Za-z0-9_+-]{1,32}(/[A-Za-z0-9_+-]{1,32}){0,3}$`).MatchString(s) {
		return "", BadZone
	}
	return s, ""
}

func checkCountry(s string) (string, Code) {
	s = strings.ToUpper(strings.TrimSpace(s))
	if s != "00" && !regexp.MustCompile(`^[A-Z]{2}$`).MatchString(s) {
		return "", BadCountry
	}
	return s, ""
}

func checkSetup(s string) (string, Code) {
	var w Wifi
	if wrong := w.setKey(s); wrong != "" || w.Passphrase == "" || strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) {
		return "", BadSetup
	}
	return s, ""
}

func checkPassword(s string) (string, Code) {
	if n := utf8.RuneCountInString(s); n < 8 || len(s) > maxText || !utf8.ValidString(s) {
		return "", BadPassword
	}
	return s, ""
}

func checkSSID(s string) (string, Code) {
	if len(s) == 0 || len(s) > maxSSID {
		return "", BadSSID
	}
	return s, ""
}

// Part is a part of a network's settings, for whoever says that it is wrong.
type Part string

// The parts of a network's settings.
const (
	PartName     Part = "name"
	PartPassword Part = "password"
	PartCountry  Part = "country"
)

// NewWifi returns a network, or which part of it is wrong. A key of 64 hex digits is used
// as it is; without one the network is open. The country may be empty.
func NewWifi(ssid, key, country string) (w Wifi, wrong Part) {
	var why Code
	if w.SSID, why = checkSSID(ssid); why != "" {
		return Wifi{}, PartName
	}
	if country != "" {
		if w.Country, why = checkCountry(country); why != "" {
			return Wifi{}, PartCountry
		}
	}
	if w.setKey(key) != "" {
		return Wifi{}, PartPassword
	}
	return w, ""
}

// setKey puts a password of any of the kinds in use where it belongs: 64 hex
// digits are a ready-made key, none is an open network.
func (w *Wifi) setKey(s string) (wrong Code) {
	switch lower := strings.ToLower(s); {
	case s == "":
		w.Passphrase, w.PMK = "", ""
	case isHex(lower, 64):
		w.Passphrase, w.PMK = "", Secret(lower)
	case len(s) >= 8 && len(s) <= 63 && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl):
		w.Passphrase, w.PMK = Secret(s), ""
	default:
		return BadKey
	}
	return ""
}

func isHex(s string, n int) bool {
	return len(s) == n && !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune("0123456789abcdef", r) })
}

// addWifi appends a network, or makes what is said now hold for one that is
// known by that name already.
func (s *Seed) addWifi(w Wifi, p *problems, line int) {
	if i := slices.IndexFunc(s.Wifi, func(x Wifi) bool { return x.SSID == w.SSID }); i >= 0 {
		s.Wifi[i] = w
		return
	}
	if len(s.Wifi) == MaxNetworks {
		p.broken(Problem{Line: line, Code: ManyNetworks, N: MaxNetworks})
		return
	}
	s.Wifi = append(s.Wifi, w)
}
