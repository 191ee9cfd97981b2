package roster

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"redhen/provision/ident"
	"redhen/provision/wire"
)

// Encode returns the one encoding of c, as it is stored, sent and chained.
func Encode(c Change) []byte { return wire.MustMarshal(c) }

// Decode reads one change, refusing what Check refuses and any encoding but Encode's.
func Decode(b []byte) (Change, error) {
	if len(b) > MaxChangeSize {
		return Change{}, fmt.Errorf("%w: %d bytes", ErrMalformed, len(b))
	}
	var c Change
	if err := wire.Unmarshal(b, &c); err != nil {
		return Change{}, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if err := Check(c); err != nil {
		return Change{}, err
	}
	if !bytes.Equal(Encode(c), b) {
		return Change{}, fmt.Errorf("%w: not in its one encoding", ErrMalformed)
	}
	return c, nil
}

// Check looks at the form of a lone change: limits, names, identifiers, order of
// signatures. It verifies no signature; Apply does, by the state it applies to.
func Check(c Change) error {
	_, err := c.checked()
	return err
}

func (c Change) checked() (body, error) {
	b, err := c.decode()
	if err != nil {
		return nil, err
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	if len(c.Sigs) == 0 {
		return nil, fmt.Errorf("%w: no signature", ErrSignature)
	}
	if len(c.Sigs) > MaxSignatures {
		return nil, fmt.Errorf("%w: %d signatures", ErrMalformed, len(c.Sigs))
	}
	for i, s := range c.Sigs {
		if len(s.Key) != ed25519.PublicKeySize || len(s.Sig) != ed25519.SignatureSize {
			return nil, fmt.Errorf("%w: signature of a wrong size", ErrMalformed)
		}
		if i > 0 && bySigner(c.Sigs[i-1], s) >= 0 {
			return nil, fmt.Errorf("%w: signatures are not in the order of their keys", ErrMalformed)
		}
	}
	if n := len(Encode(c)); n > MaxChangeSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrMalformed, n)
	}
	return b, nil
}

func (b FoundBody) check() error {
	return firstOf(
		CheckName(b.CircleName), CheckName(b.BoxName), CheckName(b.HouseName),
		checkBox(b.Box), checkHouse(b.House), checkKeeper(b.Box, b.Keeper, b.KeeperKey), checkTime(b.Time),
	)
}

func (b AdmitBody) check() error {
	err := firstOf(
		checkCircle(b.Circle), checkBox(b.Inviter), checkBox(b.Box), CheckName(b.BoxName),
		checkHouse(b.House), checkKeeper(b.Box, b.Keeper, b.KeeperKey), checkTime(b.Time),
	)
	if err == nil && b.HouseName != "" {
		err = CheckName(b.HouseName)
	}
	if err == nil && b.Box == b.Inviter {
		err = fmt.Errorf("%w: a box invites itself", ErrMalformed)
	}
	return err
}

func (b RenameBody) check() error {
	if (b.Box == "") == (b.House == "") {
		return fmt.Errorf("%w: rename of not exactly one box or house", ErrMalformed)
	}
	err := firstOf(checkCircle(b.Circle), CheckName(b.Name), checkTime(b.Time))
	switch {
	case err != nil:
		return err
	case b.Box != "":
		return checkBox(b.Box)
	default:
		return checkHouse(b.House)
	}
}

func (b KeepBody) check() error {
	return firstOf(checkCircle(b.Circle), checkBox(b.Box), checkKeeper(b.Box, b.Keeper, b.KeeperKey), checkTime(b.Time))
}

func (b RetireBody) check() error { return checkLeave(b.Circle, b.Box, b.Replacement, b.Time) }

func (b removal) check() error { return checkLeave(b.Circle, b.Box, b.Replacement, b.Time) }

func checkLeave(c ident.CircleID, box, replacement ident.BoxID, time int64) error {
	err := firstOf(checkCircle(c), checkBox(box), checkTime(time))
	if err == nil && replacement != "" {
		err = checkBox(replacement)
	}
	return err
}

// CheckName says whether a circle, a house or a box may be called s: 1 to MaxName
// bytes of printable Unicode (no control or invisible characters) in
// normalization form C, no space at either end.
func CheckName(s string) error {
	ok := s != "" && len(s) <= MaxName && utf8.ValidString(s) && norm.NFC.IsNormalString(s) &&
		strings.TrimSpace(s) == s && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
	if !ok {
		return ErrName
	}
	return nil
}

func checkBox(id ident.BoxID) error {
	pub := id.PublicKey()
	if pub == nil || ident.BoxIDOf(pub) != id {
		return fmt.Errorf("%w: not the name of a box", ErrMalformed)
	}
	return nil
}

func checkHouse(id ident.HouseID) error     { return checkHex("house", string(id), 16) }
func checkCircle(id ident.CircleID) error   { return checkHex("circle", string(id), 32) }
func checkAccount(id ident.AccountID) error { return checkHex("keeper", string(id), 16) }

func checkHex(what, s string, n int) error {
	if len(s) != n || strings.Trim(s, "0123456789abcdef") != "" {
		return fmt.Errorf("%w: not the name of a %s", ErrMalformed, what)
	}
	return nil
}

func checkKeeper(box ident.BoxID, keeper ident.AccountID, key ed25519.PublicKey) error {
	if len(key) != ed25519.PublicKeySize {
		return fmt.Errorf("%w: keeper's key of %d bytes", ErrMalformed, len(key))
	}
	if bytes.Equal(key, box.PublicKey()) {
		return fmt.Errorf("%w: keeper's key is the box's", ErrKeeper)
	}
	return checkAccount(keeper)
}

func checkTime(ms int64) error {
	if ms < 0 || ms > maxTime {
		return fmt.Errorf("%w: time %d", ErrMalformed, ms)
	}
	return nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
