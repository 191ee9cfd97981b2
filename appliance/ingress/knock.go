package ingress

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"time"

	"redhen/provision/ident"
)

// A knock finds out whether a box's public door is reached at an address: a handshake
// of TLS for a name that nobody has, which the door answers with the box's own key.
const (
	knockName   = "knock.redhen.invalid"
	knockWithin = 5 * time.Second
)

// ErrOther says that something else answers at the address.
var ErrOther = errors.New("ingress: another one answers there")

type knocks struct{ tls *tls.Config }

// newKnocks makes the certificate that proves the key, for as long as the program runs.
func newKnocks(key ident.Key) (*knocks, error) {
	private := ed25519.NewKeyFromSeed(key.Seed())
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, fmt.Errorf("ingress: %w", err)
	}
	t := &x509.Certificate{SerialNumber: serial, DNSNames: []string{knockName}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	der, err := x509.CreateCertificate(nil, t, t, private.Public(), private)
	if err != nil {
		return nil, fmt.Errorf("ingress: %w", err)
	}
	return &knocks{&tls.Config{
		MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}},
	}}, nil
}

func (k *knocks) answer(ctx context.Context, c net.Conn) {
	ctx, done := context.WithTimeout(ctx, knockWithin)
	defer done()
	tls.Server(c, k.tls).HandshakeContext(ctx) // whoever knocked sees how it went
}

// Knock returns nil when the box's public door answers at an address.
func Knock(ctx context.Context, at netip.AddrPort, box ident.BoxID) error {
	ctx, done := context.WithTimeout(ctx, knockWithin)
	defer done()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", at.String())
	if err != nil {
		return fmt.Errorf("knock at %s: %w", at, err)
	}
	defer c.Close()
	client := tls.Client(c, &tls.Config{
		ServerName: knockName, MinVersion: tls.VersionTLS13,
		InsecureSkipVerify: true, // the key is looked at instead
		VerifyConnection: func(s tls.ConnectionState) error {
			key, ok := s.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
			if !ok || !key.Equal(box.PublicKey()) {
				return ErrOther
			}
			return nil
		},
	})
	if err := client.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("knock at %s: %w", at, err)
	}
	return nil
}
