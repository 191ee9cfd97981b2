package dav

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"redhen/provision/ident"
)

// nonceLife is how long a Digest nonce may be used; after it the client gets a new
// one without asking its person.
const nonceLife = 10 * time.Minute

// Secrets are the passwords of the circle, as far as a door may know them.
type Secrets interface {
	// CheckPassword returns the account if the password is that of the name or of one of its devices.
	CheckPassword(ctx context.Context, name, password string) (ident.AccountID, bool)
	// Digests returns the account of a name and, for each of its device passwords,
	// the MD5 of "name:realm:password" (HA1 of RFC 7616) as 32 hex digits; none when
	// there is no such name.
	Digests(ctx context.Context, name, realm string) (ident.AccountID, []string)
}

// Passwords is Basic (RFC 7617) and Digest (RFC 7616, MD5, for Windows refuses Basic
// over plain http) over Secrets.
type Passwords struct {
	secrets Secrets
	realm   string
	key     [32]byte // of the nonces; drawn at start, so that nonces need no memory
	now     func() time.Time
}

var _ Authenticator = (*Passwords)(nil)

// NewPasswords returns an Authenticator. The realm is part of every stored Digest
// secret and may never change; now is the clock, nil for time.Now.
func NewPasswords(s Secrets, realm string, now func() time.Time) *Passwords {
	if now == nil {
		now = time.Now
	}
	p := &Passwords{secrets: s, realm: realm, now: now}
	rand.Read(p.key[:]) // never fails (crypto/rand, Go 1.24)
	return p
}

// Authenticate reads the Authorization header, and challenges for both schemes if
// it is missing or wrong.
func (p *Passwords) Authenticate(answer http.Header, r *http.Request) (ident.AccountID, bool) {
	stale := false
	if name, password, ok := r.BasicAuth(); ok {
		if id, ok := p.secrets.CheckPassword(r.Context(), name, password); ok {
			return id, true
		}
	} else if scheme, rest, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Digest") {
		var id ident.AccountID
		if id, ok, stale = p.digest(r, parseParams(rest)); ok {
			return id, true
		}
	}
	challenge := `Digest realm="` + p.realm + `", qop="auth", algorithm=MD5, nonce="` + p.nonce(p.now()) + `"`
	if stale {
		challenge += ", stale=true"
	}
	answer.Add("WWW-Authenticate", challenge)
	answer.Add("WWW-Authenticate", `Basic realm="`+p.realm+`", charset="UTF-8"`)
	return "", false
}

// digest judges a Digest header; stale means that all was right but the nonce is too old.
func (p *Passwords) digest(r *http.Request, d map[string]string) (id ident.AccountID, ok, stale bool) {
	alg := d["algorithm"]
	if d["realm"] != p.realm || d["qop"] != "auth" || alg != "" && !strings.EqualFold(alg, "MD5") || !p.sameTarget(r, d["uri"]) {
		return "", false, false
	}
	made, ours := p.nonceTime(d["nonce"])
	if !ours {
		return "", false, true
	}
	id, secrets := p.secrets.Digests(r.Context(), d["username"], p.realm)
	ha2 := md5hex(r.Method + ":" + d["uri"])
	for _, ha1 := range secrets {
		want := md5hex(strings.Join([]string{ha1, d["nonce"], d["nc"], d["cnonce"], "auth", ha2}, ":"))
		if subtle.ConstantTimeCompare([]byte(want), []byte(d["response"])) == 1 {
			if age := p.now().Sub(made); age > nonceLife || age < -time.Minute {
				return "", false, true
			}
			return id, true, false
		}
	}
	return "", false, false
}

// sameTarget reports whether the signed target is that of the request; a client
// may have signed the absolute form.
func (p *Passwords) sameTarget(r *http.Request, uri string) bool {
	if i := strings.Index(uri, "://"); i > 0 {
		if j := strings.IndexByte(uri[i+3:], '/'); j >= 0 {
			uri = uri[i+3+j:]
		}
	}
	return uri != "" && uri == r.URL.RequestURI() || uri == r.RequestURI
}

// nonce returns time ‖ HMAC(time): whoever shows it got it from us, at that time.
func (p *Passwords) nonce(t time.Time) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(t.UnixMilli()))
	return base64.RawURLEncoding.EncodeToString(append(b, p.mac(b)...))
}

func (p *Passwords) mac(b []byte) []byte {
	m := hmac.New(sha256.New, p.key[:])
	m.Write(b)
	return m.Sum(nil)[:16]
}

func (p *Passwords) nonceTime(nonce string) (time.Time, bool) {
	b, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(b) != 24 || !hmac.Equal(b[8:], p.mac(b[:8])) {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(b))), true
}

func md5hex(s string) string {
	sum := md5.Sum([]byte(s)) // what the protocol asks for
	return hex.EncodeToString(sum[:])
}

// maxParams bounds the parameters of one header.
const maxParams = 32

// parseParams reads name=value, name="value" pairs with commas between (RFC 9110 §11.2).
// What does not follow the grammar ends the reading.
func parseParams(s string) map[string]string {
	params := map[string]string{}
	for len(params) < maxParams {
		s = strings.TrimLeft(s, " \t,")
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		value, rest, ok := paramValue(strings.TrimLeft(rest, " \t"))
		if !ok {
			break
		}
		params[strings.ToLower(strings.TrimSpace(name))] = value
		s = rest
	}
	return params
}

// paramValue reads a token or a quoted string.
func paramValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		i := strings.IndexAny(s, ", \t")
		if i < 0 {
			i = len(s)
		}
		return s[:i], s[i:], true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}
