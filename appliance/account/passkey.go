package account

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"redhen/provision/ident"
	"redhen/provision/wire"
	"redhen/raftnode/directory"
)

// ErrPasskey says that what a browser sent is no passkey of the account, or came too late.
var ErrPasskey = errors.New("account: that passkey does not fit")

const (
	passkeyPurpose = "redhen passkey"
	passkeyWithin  = 5 * time.Minute
	maxChallenge   = 4 << 10 // bytes of what a browser keeps meanwhile
	maxUsed        = 1024
)

// Passkeys are keys that phones and computers keep for a person (WebAuthn level 3). They
// hold for one name, the circle's: any box of it may ask, and any other may judge the
// answer, since what was asked travels with the browser, signed by the box that asked.
// The counter of uses is not kept: it would need the circle at every log-in, and passkeys
// that live in several machines have none.
type Passkeys struct {
	a *Accounts

	mu   sync.Mutex           // guards used
	used map[string]time.Time // challenges that were answered here, until when they would hold
}

// Passkeys returns what judges passkeys.
func (a *Accounts) Passkeys() *Passkeys { return &Passkeys{a: a, used: map[string]time.Time{}} }

// person is an account as the library sees it.
type person struct{ directory.Account }

var _ webauthn.User = person{}

func (p person) WebAuthnID() []byte   { return []byte(p.ID) }
func (p person) WebAuthnName() string { return p.Name }
func (p person) WebAuthnDisplayName() string {
	if p.FullName != "" {
		return p.FullName
	}
	return p.Name
}

func (p person) WebAuthnCredentials() (list []webauthn.Credential) {
	for _, k := range p.Passkeys {
		list = append(list, webauthn.Credential{
			ID: k.ID, PublicKey: k.PublicKey, AttestationType: "none",
			Flags: webauthn.NewCredentialFlags(protocol.AuthenticatorFlags(k.Flags)),
		})
	}
	return list
}

// party is the circle as browsers see it: one name, and those of its houses.
func party(name, circle string, origins []string) (*webauthn.WebAuthn, error) {
	w, err := webauthn.New(&webauthn.Config{RPID: name, RPDisplayName: circle, RPOrigins: origins})
	if err != nil {
		return nil, fmt.Errorf("account: passkeys: %w", err)
	}
	return w, nil
}

// Party is whom a passkey is for.
type Party struct {
	Name    string   // the circle's public name
	Circle  string   // what it is called
	Origins []string // where its pages are, such as https://hens.dedyn.io
}

func (p Party) open() (*webauthn.WebAuthn, error) { return party(p.Name, p.Circle, p.Origins) }

// asked is what a browser keeps between question and answer.
type asked struct {
	Box     ident.BoxID `cbor:"1,keyasint"`
	For     string      `cbor:"2,keyasint"` // "register" or "login"
	Session []byte      `cbor:"3,keyasint"`
	Until   int64       `cbor:"4,keyasint"`
}

func (p *Passkeys) sign(what string, s *webauthn.SessionData) (string, error) {
	raw, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("account: passkeys: %w", err)
	}
	b := wire.MustMarshal(asked{p.a.cfg.Key.BoxID(), what, raw, p.a.cfg.Now().Add(passkeyWithin).UnixMilli()})
	return base64.RawURLEncoding.EncodeToString(append(b, p.a.cfg.Key.Sign(passkeyPurpose, b)...)), nil
}

// recall reads what some box of the circle asked, once.
func (p *Passkeys) recall(what, kept string) (s webauthn.SessionData, err error) {
	if len(kept) > maxChallenge {
		return s, ErrPasskey
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(kept)
	if err != nil || len(b) <= 64 {
		return s, ErrPasskey
	}
	body, sig := b[:len(b)-64], b[len(b)-64:]
	var q asked
	if err := wire.Unmarshal(body, &q); err != nil || q.For != what || !ident.Verify(q.Box.PublicKey(), passkeyPurpose, body, sig) {
		return s, ErrPasskey
	}
	member := false
	if err := p.a.look(func(v directory.View) { member = v.Roster().Active(q.Box) }); err != nil {
		return s, err
	}
	now := p.a.cfg.Now()
	until := time.UnixMilli(q.Until)
	if !member || now.After(until) || until.Sub(now) > passkeyWithin+clockSlack {
		return s, ErrPasskey
	}
	if err := json.Unmarshal(q.Session, &s); err != nil {
		return s, ErrPasskey
	}
	if !p.use(s.Challenge, until) {
		return s, ErrPasskey
	}
	return s, nil
}

// use lets a challenge be answered once at this box.
func (p *Passkeys) use(challenge string, until time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.a.cfg.Now()
	for c, t := range p.used {
		if now.After(t) {
			delete(p.used, c)
		}
	}
	if _, again := p.used[challenge]; again || len(p.used) >= maxUsed {
		return false
	}
	p.used[challenge] = until
	return true
}

// Register asks a browser for a passkey of an account: options are JSON for
// navigator.credentials.create, kept goes back to Registered.
func (p *Passkeys) Register(of Party, id ident.AccountID) (options []byte, kept string, err error) {
	acc, err := p.a.byID(id)
	if err != nil {
		return nil, "", err
	}
	w, err := of.open()
	if err != nil {
		return nil, "", err
	}
	var known []protocol.CredentialDescriptor
	for _, c := range (person{acc}).WebAuthnCredentials() {
		known = append(known, c.Descriptor())
	}
	creation, s, err := w.BeginRegistration(person{acc}, webauthn.WithExclusions(known),
		webauthn.WithResidentKeyRequirement(protocol.ResidentKeyRequirementRequired))
	if err != nil {
		return nil, "", fmt.Errorf("account: passkeys: %w", err)
	}
	return p.question("register", creation, s)
}

func (p *Passkeys) question(what string, options any, s *webauthn.SessionData) ([]byte, string, error) {
	kept, err := p.sign(what, s)
	if err != nil {
		return nil, "", err
	}
	raw, err := json.Marshal(options)
	if err != nil {
		return nil, "", fmt.Errorf("account: passkeys: %w", err)
	}
	return raw, kept, nil
}

// Registered judges the answer of a browser, and returns the passkey to be added.
func (p *Passkeys) Registered(of Party, id ident.AccountID, kept string, answer []byte, name string) (directory.AddPasskey, error) {
	acc, err := p.a.byID(id)
	if err != nil {
		return directory.AddPasskey{}, err
	}
	s, err := p.recall("register", kept)
	if err != nil {
		return directory.AddPasskey{}, err
	}
	w, err := of.open()
	if err != nil {
		return directory.AddPasskey{}, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return directory.AddPasskey{}, fmt.Errorf("%w: %v", ErrPasskey, err)
	}
	c, err := w.CreateCredential(person{acc}, s, parsed)
	if err != nil {
		return directory.AddPasskey{}, fmt.Errorf("%w: %v", ErrPasskey, err)
	}
	return directory.AddPasskey{Account: acc.ID, Passkey: directory.Passkey{
		ID: c.ID, Name: strings.TrimSpace(name), PublicKey: c.PublicKey, Flags: uint8(c.Flags.ProtocolValue()),
	}}, nil
}

// Ask asks a browser who it is: options are JSON for navigator.credentials.get.
func (p *Passkeys) Ask(of Party) (options []byte, kept string, err error) {
	w, err := of.open()
	if err != nil {
		return nil, "", err
	}
	assertion, s, err := w.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, "", fmt.Errorf("account: passkeys: %w", err)
	}
	return p.question("login", assertion, s)
}

// Login judges the answer of a browser and issues a session. It needs this box alone.
func (p *Passkeys) Login(of Party, kept string, answer []byte) (token string, session Session, err error) {
	s, err := p.recall("login", kept)
	if err != nil {
		return "", Session{}, err
	}
	w, err := of.open()
	if err != nil {
		return "", Session{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return "", Session{}, fmt.Errorf("%w: %v", ErrPasskey, err)
	}
	var acc directory.Account
	find := func(_, handle []byte) (webauthn.User, error) {
		acc, err = p.a.byID(ident.AccountID(handle))
		return person{acc}, err
	}
	if _, _, err := w.ValidatePasskeyLogin(find, s, parsed); err != nil {
		return "", Session{}, fmt.Errorf("%w: %v", ErrPasskey, err)
	}
	token, session = p.a.issue(acc, "")
	return token, session, nil
}
