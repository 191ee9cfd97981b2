// Package certs holds the certificates of the circle's public name. They are obtained
// by ACME and lie, with their keys, sealed in the circle shard: any box renews them
// under a lease, any box serves them. A box that is apart goes on with those it has.
package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/libdns/libdns"
	"go.uber.org/zap"
)

// Challenges puts records by which an authority sees that a name is ours.
type Challenges interface {
	libdns.RecordAppender
	libdns.RecordDeleter
}

// Order says which certificates are wanted, and from whom.
type Order struct {
	Domain string
	// Challenges proves the name by DNS, and all names below it; nil: by TLS-ALPN at our
	// own door, the name alone.
	Challenges Challenges
	Authority  string   // ACME directory; empty: Let's Encrypt
	Roots      string   // PEM, of an authority of one's own; empty: the machine's
	Email      string   // may be empty
	Resolvers  []string // see whether proofs have arrived; empty: the machine's
	// Mark is any text that changes when the above does.
	Mark string
}

func (o Order) names() []string {
	if o.Challenges == nil {
		return []string{o.Domain}
	}
	return []string{o.Domain, "*." + o.Domain}
}

// Config is what Certs stands on. Vault is needed.
type Config struct {
	Vault  Vault
	Look   time.Duration // between two looks whether one must be renewed; 0: 10 minutes
	Logger *slog.Logger  // nil: none
}

// Certs obtains, renews and serves. It is safe for concurrent use.
type Certs struct {
	cfg     Config
	log     *zap.Logger
	storage *storage

	mu      sync.Mutex // guards what follows
	order   Order
	magic   *certmagic.Config // nil without an order
	cache   *certmagic.Cache
	end     context.CancelFunc // of what obtains
	trouble error              // the last one
	since   time.Time          // of it
}

// New returns Certs without an order.
func New(cfg Config) (*Certs, error) {
	if cfg.Vault == nil {
		return nil, errors.New("certs: vault is required")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Look == 0 {
		cfg.Look = certmagic.DefaultRenewCheckInterval
	}
	return &Certs{cfg: cfg, log: newZap(cfg.Logger), storage: newStorage(cfg.Vault)}, nil
}

// Want has the certificates of an order obtained, renewed and served from now on; those
// of an earlier one no more. An empty order ends all. ctx is the life of what it begins.
func (c *Certs) Want(ctx context.Context, o Order) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.Domain == c.order.Domain && o.Mark == c.order.Mark {
		return nil
	}
	c.stop()
	if o.Domain == "" {
		return nil
	}
	ctx, end := context.WithCancel(ctx)
	magic, cache, err := c.prepare(o)
	if err == nil {
		err = magic.ManageAsync(ctx, o.names())
	}
	if err != nil {
		end()
		if cache != nil {
			cache.Stop()
		}
		return fmt.Errorf("certs: %w", err)
	}
	c.order, c.magic, c.cache, c.end = o, magic, cache, end
	return nil
}

// stop ends the order. mu is held.
func (c *Certs) stop() {
	if c.magic == nil {
		return
	}
	c.end()
	c.cache.Stop()
	c.order, c.magic, c.cache, c.trouble = Order{}, nil, nil, nil
}

// Close ends all.
func (c *Certs) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stop()
}

// prepare makes what manages the certificates of an order.
func (c *Certs) prepare(o Order) (*certmagic.Config, *certmagic.Cache, error) {
	var roots *x509.CertPool
	if o.Roots != "" {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(o.Roots)) {
			return nil, nil, errors.New("no certificate of the authority")
		}
	}
	var later atomic.Pointer[certmagic.Config]
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return later.Load(), nil },
		RenewCheckInterval: c.cfg.Look, Logger: c.log,
	})
	magic := certmagic.New(cache, certmagic.Config{
		Storage: c.storage, Logger: c.log, OnEvent: c.hear, OCSP: certmagic.OCSPConfig{DisableStapling: true},
	})
	template := certmagic.ACMEIssuer{
		CA: o.Authority, Email: o.Email, Agreed: true, TrustedRoots: roots, Logger: c.log, DisableHTTPChallenge: true,
	}
	if template.CA == "" {
		template.CA = certmagic.LetsEncryptProductionCA
	}
	if o.Challenges != nil {
		template.DisableTLSALPNChallenge = true
		template.DNS01Solver = &certmagic.DNS01Solver{DNSManager: certmagic.DNSManager{
			DNSProvider: o.Challenges, Resolvers: o.Resolvers, TTL: time.Minute, Logger: c.log,
		}}
	}
	magic.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(magic, template)}
	later.Store(magic)
	return magic, cache, nil
}

// hear remembers what went wrong last.
func (c *Certs) hear(_ context.Context, event string, data map[string]any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch event {
	case "cert_obtained":
		c.trouble = nil
		c.cfg.Logger.Info("certificate obtained", "name", data["identifier"], "renewal", data["renewal"])
	case "cert_failed":
		err, _ := data["error"].(error)
		if c.trouble == nil {
			c.since = time.Now()
		}
		c.trouble = err
		c.cfg.Logger.Warn("certificate not obtained", "name", data["identifier"], "err", err)
	}
	return nil
}

// TLS is how connections for the public names are answered.
func (c *Certs) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1", "acme-tls/1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			c.mu.Lock()
			magic := c.magic
			c.mu.Unlock()
			if magic == nil {
				return nil, errors.New("certs: this box serves no public name")
			}
			return magic.GetCertificateWithContext(hello.Context(), hello)
		},
	}
}

// Held is what this box has for a name.
type Held struct {
	Ends time.Time // zero: no certificate
	Due  bool      // it should have been renewed some time ago
	// Trouble says why none was obtained; nil: nothing went wrong, here.
	Trouble error
	Since   time.Time // of Trouble
}

// Held tells of the certificate for a name.
func (c *Certs) Held(name string) (h Held) {
	c.mu.Lock()
	cache, trouble, since := c.cache, c.trouble, c.since
	c.mu.Unlock()
	if trouble != nil {
		h.Trouble, h.Since = trouble, since
	}
	if cache == nil {
		return h
	}
	for _, cert := range cache.AllMatchingCertificates(name) {
		if leaf := cert.Leaf; leaf != nil && leaf.NotAfter.After(h.Ends) && slices.ContainsFunc(cert.Names, func(n string) bool { return certmagic.MatchWildcard(name, n) }) {
			h.Ends = leaf.NotAfter
			h.Due = time.Until(leaf.NotAfter) < leaf.NotAfter.Sub(leaf.NotBefore)/6 // it is renewed at a third
		}
	}
	return h
}

// Has reports whether this box can answer for a name now.
func (c *Certs) Has(name string) bool { return time.Now().Before(c.Held(name).Ends) }
