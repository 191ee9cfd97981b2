package certs

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
)

// Run takes over what other boxes obtained, as soon as it is here, until ctx ends.
func (c *Certs) Run(ctx context.Context) error {
	for {
		news := c.cfg.Vault.News()
		c.takeOver(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-news:
		}
		select { // news come in swarms
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// takeOver serves what is stored instead of what was.
func (c *Certs) takeOver(ctx context.Context) {
	c.mu.Lock()
	magic, cache, names := c.magic, c.cache, c.order.names()
	c.mu.Unlock()
	if magic == nil {
		return
	}
	for _, name := range names {
		stored := c.stored(ctx, magic, name)
		if stored == nil {
			continue
		}
		var old []string
		known := false
		for _, cert := range cache.AllMatchingCertificates(name) {
			switch {
			case len(cert.Names) != 1 || cert.Names[0] != name || len(cert.Certificate.Certificate) == 0:
			case bytes.Equal(cert.Certificate.Certificate[0], stored.leaf):
				known = true
			default:
				old = append(old, cert.Hash())
			}
		}
		if !known {
			if _, err := magic.CacheManagedCertificate(ctx, name); err != nil {
				c.cfg.Logger.Debug("certificate of another box not taken over", "name", name, "err", err)
				continue
			}
			c.cfg.Logger.Info("certificate taken over", "name", name)
			c.mu.Lock()
			c.trouble = nil
			c.mu.Unlock()
		}
		cache.Remove(old)
	}
}

// bundle is a stored certificate.
type bundle struct {
	pem  []byte
	leaf []byte // DER
}

func (c *Certs) stored(ctx context.Context, magic *certmagic.Config, name string) *bundle {
	issuer := magic.Issuers[0].IssuerKey()
	raw, err := c.storage.Load(ctx, certmagic.StorageKeys.SiteCert(issuer, name))
	if err != nil {
		return nil
	}
	if !c.storage.Exists(ctx, certmagic.StorageKeys.SitePrivateKey(issuer, name)) ||
		!c.storage.Exists(ctx, certmagic.StorageKeys.SiteMeta(issuer, name)) {
		return nil // it is just being written
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil
	}
	return &bundle{raw, block.Bytes}
}

// Replace gives up the certificates and their keys, since somebody else may have them,
// and obtains fresh ones with fresh keys. Visitors get the old ones until then.
func (c *Certs) Replace(ctx context.Context) error {
	c.mu.Lock()
	magic, names := c.magic, c.order.names()
	c.mu.Unlock()
	if magic == nil {
		return nil
	}
	var errs error
	for _, name := range names {
		old := c.stored(ctx, magic, name)
		if old == nil {
			continue // it is being obtained
		}
		if err := magic.RenewCertSync(ctx, name, true); err != nil {
			errs = errors.Join(errs, err)
			continue
		}
		if r, ok := magic.Issuers[0].(certmagic.Revoker); ok {
			if err := r.Revoke(ctx, certmagic.CertificateResource{CertificatePEM: old.pem}, acme.ReasonKeyCompromise); err != nil {
				c.cfg.Logger.Warn("old certificate not revoked", "name", name, "err", err)
			}
		}
	}
	c.takeOver(ctx)
	return errs
}
