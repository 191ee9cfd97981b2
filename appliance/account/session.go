package account

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"time"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/provision/wire"
	"redhen/raftnode/directory"
)

// How long sessions live.
const (
	// SessionLife is the longest time from issue to end.
	SessionLife = 30 * 24 * time.Hour
	// renewAfter is the age at which a session should be replaced by a fresh one.
	renewAfter = 7 * 24 * time.Hour
	// goneGrace is how long the sessions that a burnt box issued stay good, so that
	// nobody is logged out by a fire before the others renewed them.
	goneGrace = 7 * 24 * time.Hour
	// clockSlack is how far the clock of another box may be ahead.
	clockSlack = 24 * time.Hour

	sessionPurpose = "redhen session"
	maxToken       = 1024
)

// Session is a verified session.
type Session struct {
	Account ident.AccountID
	Name    string
	// Box issued it.
	Box ident.BoxID
	// Host is the one host name at which a browser may show it; empty: it is not a browser's.
	Host            string
	Issued, Expires time.Time
	// Renew says that the caller should issue a fresh token now (see Renew).
	Renew bool
}

// claims is what the issuing box signs.
type claims struct {
	Account ident.AccountID `cbor:"1,keyasint"`
	Epoch   uint64          `cbor:"2,keyasint"`
	Box     ident.BoxID     `cbor:"3,keyasint"`
	Issued  int64           `cbor:"4,keyasint"`
	Expires int64           `cbor:"5,keyasint"`
	Host    string          `cbor:"6,keyasint,omitempty"`
}

// issue signs a session for an account as it is now.
func (a *Accounts) issue(person directory.Account, host string) (string, Session) {
	now := a.cfg.Now()
	c := claims{
		Account: person.ID, Epoch: person.Epoch, Box: a.cfg.Key.BoxID(),
		Issued: now.UnixMilli(), Expires: now.Add(SessionLife).UnixMilli(), Host: host,
	}
	return encodeToken(a.cfg.Key, c), c.session(person.Name)
}

// MaxAge is how long a browser may keep the session once it has it, in seconds: a length of
// time, since the clock of a box may be years behind the browser's.
func (s Session) MaxAge() int { return int(s.Expires.Sub(s.Issued) / time.Second) }

func (c claims) session(name string) Session {
	return Session{Account: c.Account, Name: name, Box: c.Box, Host: c.Host, Issued: time.UnixMilli(c.Issued), Expires: time.UnixMilli(c.Expires)}
}

// encodeToken returns the base64 (URL alphabet, no padding) of claims ‖ signature.
func encodeToken(key ident.Key, c claims) string {
	b := wire.MustMarshal(c)
	return base64.RawURLEncoding.EncodeToString(append(b, key.Sign(sessionPurpose, b)...))
}

// decodeToken reads a token and verifies that the box it names has signed it.
func decodeToken(token string) (c claims, err error) {
	if len(token) > maxToken {
		return c, ErrSession
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) <= ed25519.SignatureSize {
		return c, ErrSession
	}
	cut := len(b) - ed25519.SignatureSize
	if err := wire.Unmarshal(b[:cut], &c); err != nil {
		return c, fmt.Errorf("%w: %v", ErrSession, err)
	}
	if !ident.Verify(c.Box.PublicKey(), sessionPurpose, b[:cut], b[cut:]) {
		return c, fmt.Errorf("%w: signature does not verify", ErrSession)
	}
	return c, nil
}

// Issue gives a session to an account whose person proved otherwise who they are,
// such as by presence at the box.
func (a *Accounts) Issue(id ident.AccountID) (string, Session, error) {
	return a.issueAt(id, "")
}

func (a *Accounts) issueAt(id ident.AccountID, host string) (string, Session, error) {
	person, err := a.byID(id)
	if err != nil {
		return "", Session{}, err
	}
	token, s := a.issue(person, host)
	return token, s, nil
}

// maxHost bounds a host name, in bytes (RFC 1035 §2.3.4).
const maxHost = 253

// Bind gives a session for a browser, which may show it at one host name alone, for one
// that holds.
func (a *Accounts) Bind(token, host string) (string, Session, error) {
	s, err := a.Verify(token)
	if err != nil {
		return "", Session{}, err
	}
	if host == "" || len(host) > maxHost {
		return "", Session{}, fmt.Errorf("%w: no host name", ErrSession)
	}
	return a.issueAt(s.Account, host)
}

// Verify checks a token by the directory at this box alone. The errors wrap
// ErrSession, or are the directory's.
func (a *Accounts) Verify(token string) (Session, error) {
	c, err := decodeToken(token)
	if err != nil {
		return Session{}, err
	}
	var person directory.Account
	var ok bool
	var box roster.Box
	err = a.look(func(v directory.View) {
		person, ok = v.Account(c.Account)
		box, _ = v.Roster().Box(c.Box)
	})
	if err != nil {
		return Session{}, err
	}
	now := a.cfg.Now()
	switch {
	case !ok || person.Removed || person.Epoch != c.Epoch:
		return Session{}, fmt.Errorf("%w: revoked", ErrSession)
	case !c.inTime(now):
		return Session{}, fmt.Errorf("%w: expired", ErrSession)
	case !trusted(box, c, now):
		return Session{}, fmt.Errorf("%w: issued by a box that may not", ErrSession)
	}
	s := c.session(person.Name)
	s.Renew = now.Sub(s.Issued) > renewAfter || box.Status != roster.StatusActive
	return s, nil
}

func (c claims) inTime(now time.Time) bool {
	issued, expires := time.UnixMilli(c.Issued), time.UnixMilli(c.Expires)
	return now.Before(expires) && expires.Sub(issued) <= SessionLife && issued.Before(now.Add(clockSlack))
}

// trusted says whether the box's word still counts. A burnt box's does for a
// while, for what it signed before. A retired box left with its keeper, who could
// sign anything under an old date, and a stolen one is in wrong hands: never.
func trusted(box roster.Box, c claims, now time.Time) bool {
	switch box.Status {
	case roster.StatusActive:
		return true
	case roster.StatusGone:
		return c.Issued < box.Until && now.Before(time.UnixMilli(box.Until).Add(goneGrace))
	}
	return false
}

// Renew verifies a token and gives a fresh one for it, signed by this box.
func (a *Accounts) Renew(token string) (string, Session, error) {
	s, err := a.Verify(token)
	if err != nil {
		return "", Session{}, err
	}
	return a.issueAt(s.Account, s.Host)
}
