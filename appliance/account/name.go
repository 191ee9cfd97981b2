package account

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"redhen/raftnode/directory"
)

const (
	// MinPassword is the least number of characters of a password.
	MinPassword = 8
	maxPassword = 1024 // bytes
)

// Errors of the rules for names and passwords.
var (
	// ErrName says that a text cannot be a login name.
	ErrName = errors.New("account: a login name has 1 to 32 of a–z, 0–9, dot, dash and underscore, and begins and ends with a letter or digit")
	// ErrReserved says that the name means something else in addresses.
	ErrReserved = errors.New("account: that name is not to be had")
	// ErrWeak says that a password is too short or known to all.
	ErrWeak = errors.New("account: a password needs 8 characters or more, and not the first ones that everybody tries")
)

// CheckName refuses what cannot be a login name: the directory's rules, and names
// that stand for something else in addresses and logs.
func CheckName(name string) error {
	if directory.CheckName(name) != nil {
		return ErrName
	}
	switch name {
	case "admin", "api", "dav", "metrics", "redhen", "root", "s3", "www":
		return ErrReserved
	}
	return nil
}

// CleanName returns a typed login name as it is stored: without spaces at its
// ends, in lower case. What it returns may still be no login name.
func CleanName(typed string) string { return strings.ToLower(strings.TrimSpace(typed)) }

// SuggestName makes a login name from the name of a person: "Zoë Müller" gives
// "zoe.muller". It returns "" when nothing is left.
func SuggestName(person string) string {
	person = person[:min(len(person), 255)]
	var b strings.Builder
	for _, r := range norm.NFKD.String(strings.ToLower(strings.ToValidUTF8(person, ""))) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_':
			b.WriteRune(r)
		case r == ' ' || r == '.':
			if s := b.String(); s != "" && !strings.HasSuffix(s, ".") {
				b.WriteByte('.')
			}
		}
	}
	s := b.String()
	s = strings.Trim(s[:min(len(s), 32)], ".-_")
	if CheckName(s) != nil {
		return ""
	}
	return s
}

// CheckNewPassword refuses a password that is too short or too long, the login
// name, one character repeated, one of the first that everybody tries, or of the
// shape of a device password.
func CheckNewPassword(name, password string) error {
	_, device := cleanDevicePassword(password)
	first, _ := utf8.DecodeRuneInString(password)
	lower := strings.ToLower(password)
	weak := utf8.RuneCountInString(password) < MinPassword || len(password) > maxPassword || !utf8.ValidString(password) ||
		lower == strings.ToLower(name) || strings.Trim(password, string(first)) == "" || device
	if weak || slices.Contains(firstTried(), lower) {
		return ErrWeak
	}
	return nil
}

func firstTried() []string {
	return []string{
		"12345678", "123456789", "1234567890", "87654321", "password", "password1", "password123", "passw0rd",
		"qwertyui", "qwertyuiop", "asdfghjkl", "1q2w3e4r", "iloveyou", "sunshine", "princess", "football",
		"baseball", "superman", "trustno1", "abcd1234", "letmein1", "welcome1", "changeme", "redhen123",
	}
}
