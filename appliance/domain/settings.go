package domain

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"redhen/appliance/words"
)

// The ways in which a circle can come to a public name.
const (
	// DeSEC is a free provider, desec.io: a name below dedyn.io, or one's own kept there.
	DeSEC = "desec"
	// RFC2136 is any name server that takes signed updates.
	RFC2136 = "rfc2136"
	// ByHand: somebody points the name at the houses; redhen only serves it.
	ByHand = "none"
)

// Settings are the public name of a circle and what is needed to keep it pointing at
// the houses. They lie sealed in the circle shard.
type Settings struct {
	Domain   string `json:"domain"`          // such as hens.dedyn.io: in lower case, without the dot at the end
	Provider string `json:"provider"`        // DeSEC, RFC2136 or ByHand
	Zone     string `json:"zone,omitempty"`  // in which Domain lies; empty: Domain itself
	Token    string `json:"token,omitempty"` // of DeSEC

	Server  string `json:"server,omitempty"` // of RFC2136, host:port
	KeyName string `json:"keyName,omitempty"`
	KeyAlg  string `json:"keyAlg,omitempty"` // such as hmac-sha256
	Key     string `json:"key,omitempty"`    // base64

	Authority string   `json:"authority,omitempty"` // ACME directory; empty: Let's Encrypt
	Roots     string   `json:"roots,omitempty"`     // PEM, of an authority of one's own; empty: the machine's
	Email     string   `json:"email,omitempty"`     // for the authority
	Resolvers []string `json:"resolvers,omitempty"` // host:port, to see whether records have arrived; empty: the machine's

	MinTTL int   `json:"minTTL,omitempty"` // seconds, what the provider allows
	Since  int64 `json:"since,omitempty"`  // Unix milliseconds, when Token and Key were set
}

// SettingError is what is wrong with settings.
type SettingError struct {
	code  string // the text is "domain.CODE"
	about []any
}

// Error is the sentence in English.
func (e *SettingError) Error() string { return e.Say(nil) }

// Say is the sentence for a person.
func (e *SettingError) Say(w *words.Words) string { return w.Say("domain."+e.code, e.about...) }

func wrong(code string, about ...any) error { return &SettingError{code, about} }

const (
	settingsName = "domain/settings"
	reportName   = "domain/report"
	maxDomain    = 100 // bytes; names of certificates are built of it
	maxField     = 4 << 10
)

func isName(s string) bool {
	if len(s) > maxDomain || !strings.Contains(s, ".") {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	_, err := netip.ParseAddr(s)
	return err != nil
}

// clean puts names into their usual form and fills in what follows from the rest.
func (s *Settings) clean() {
	name := func(s string) string { return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), ".")) }
	s.Domain, s.Zone, s.KeyName, s.KeyAlg = name(s.Domain), name(s.Zone), name(s.KeyName), name(s.KeyAlg)
	s.Token, s.Key, s.Server = strings.TrimSpace(s.Token), strings.TrimSpace(s.Key), strings.TrimSpace(s.Server)
	if s.Zone == "" {
		s.Zone = s.Domain
	}
	if s.Provider == RFC2136 && s.KeyAlg == "" {
		s.KeyAlg = "hmac-sha256"
	}
	if _, err := netip.ParseAddr(s.Server); err == nil {
		s.Server = netip.AddrPortFrom(netip.MustParseAddr(s.Server), 53).String()
	} else if s.Server != "" && !strings.Contains(s.Server, ":") {
		s.Server += ":53"
	}
}

// check returns a SettingError for what cannot be.
func (s *Settings) check() error {
	for _, f := range append([]string{s.Token, s.Server, s.KeyName, s.Key, s.Authority, s.Email}, s.Resolvers...) {
		if len(f) > maxField || strings.ContainsAny(f, "\r\n\x00") {
			return wrong("long")
		}
	}
	if len(s.Roots) > 32<<10 || len(s.Resolvers) > 8 {
		return wrong("long")
	}
	switch {
	case !isName(s.Domain):
		return wrong("no-name", "name", s.Domain)
	case s.Domain != s.Zone && !strings.HasSuffix(s.Domain, "."+s.Zone):
		return wrong("zone", "name", s.Domain, "zone", s.Zone)
	}
	if err := s.checkAuthority(); err != nil {
		return err
	}
	switch s.Provider {
	case DeSEC:
		if s.Token == "" {
			return wrong("token")
		}
	case RFC2136:
		if _, err := base64.StdEncoding.DecodeString(s.Key); err != nil || s.Server == "" || s.KeyName == "" || s.Key == "" {
			return wrong("key")
		}
	case ByHand:
	default:
		return wrong("provider", "provider", s.Provider, "known", strings.Join([]string{DeSEC, RFC2136, ByHand}, ", "))
	}
	return nil
}

func (s *Settings) checkAuthority() error {
	if u, err := url.Parse(s.Authority); s.Authority != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		return wrong("authority", "address", s.Authority)
	}
	if s.Roots != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(s.Roots)) {
		return wrong("roots")
	}
	return nil
}

// Vault is where settings lie; *vault.Vault is one.
type Vault interface {
	Get(name string) ([]byte, error)
	Put(ctx context.Context, name string, value []byte) error
	Delete(ctx context.Context, name string) error
	News() <-chan struct{}
}

// Settings returns what is set, false when no name is. Secrets are in it.
func (d *Domain) Settings() (s Settings, ok bool, err error) {
	raw, err := d.cfg.Vault.Get(settingsName)
	if errors.Is(err, fs.ErrNotExist) {
		return s, false, nil
	}
	if err != nil {
		return s, false, err
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, false, fmt.Errorf("domain: settings: %w", err)
	}
	return s, true, nil
}

// Set asks the provider whether it knows us, and keeps the settings. A name that the
// provider gives away for free is taken. Its errors are *SettingError, or the circle's.
func (d *Domain) Set(ctx context.Context, s Settings) error {
	s.clean()
	if err := s.check(); err != nil {
		return err
	}
	p := d.cfg.Provider(s)
	if err := p.Prepare(ctx, &s); err != nil {
		d.cfg.Logger.Info("name not taken", "name", s.Domain, "err", err)
		return explain(s, err)
	}
	s.Since = d.cfg.Now().UnixMilli()
	raw, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("domain: settings: %w", err)
	}
	if err := d.cfg.Vault.Delete(ctx, reportName); err != nil {
		return err
	}
	return d.cfg.Vault.Put(ctx, settingsName, raw)
}

// Unset forgets the name. What the provider has is left as it is.
func (d *Domain) Unset(ctx context.Context) error {
	if err := d.cfg.Vault.Delete(ctx, reportName); err != nil {
		return err
	}
	return d.cfg.Vault.Delete(ctx, settingsName)
}

func explain(s Settings, err error) error {
	switch {
	case errors.Is(err, ErrToken):
		return wrong("refused", "provider", s.ProviderName())
	case errors.Is(err, ErrTaken):
		return wrong("taken", "provider", s.ProviderName(), "name", s.Domain)
	}
	return wrong("silent", "provider", s.ProviderName())
}

// ProviderName is what people call the provider, empty when there is none.
func (s *Settings) ProviderName() string {
	if s.Provider == DeSEC {
		return "desec.io"
	}
	return s.Server
}

// ttl is how long others may remember an address.
func (s *Settings) ttl() time.Duration {
	return max(time.Minute, time.Duration(s.MinTTL)*time.Second)
}
