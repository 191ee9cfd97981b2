package appliance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"redhen/appliance/circle"
	"redhen/appliance/domain"
	"redhen/provision/pair"
)

// Rule: when strangers crowd the public door, the diary says so.
func TestACrowdAtTheDoorIsInTheDiary(t *testing.T) {
	b := runBox(t, t.TempDir(), func(c *Config) { c.HTTPS = "127.0.0.1:0" })
	b.found(t)
	crowd(t, b.public.https.Addr().String())
	b.says(t, "Strangers crowded the door of Mill Lane: 200 or more were turned away.")
}

// join brings a fresh box into the circle of another one.
func (b *box) join(t *testing.T, inviter *box, place circle.Place, login string) {
	t.Helper()
	ticket, err := inviter.Circle().InviteBox(0)
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan error, 1)
	go func() {
		answer <- b.Circle().Join(t.Context(), ticket.Text(), place, circle.Person{Login: login, Password: password}, func(pair.Progress) {})
	}()
	desk := inviter.Circle().Desk()
	awaits(t, "a box asks to join", func() bool { return len(desk.Pending()) == 1 })
	if err := desk.Approve(t.Context(), b.About().ID); err != nil {
		t.Fatal(err)
	}
	if err := <-answer; err != nil {
		t.Fatal(err)
	}
}

// certificateOf makes a certificate for a name and its key, in PEM, of which the last
// third has begun: it should be renewed.
func certificateOf(t *testing.T, name string) (certificate, key []byte, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	day := 24 * time.Hour
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-80 * day), NotAfter: time.Now().Add(10 * day),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	return certificate, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), roots
}

// Rule: a box that starts while it is apart serves the certificate that another box
// obtained, from its own copy, also when it should have been renewed.
func TestABoxApartServesTheCertificate(t *testing.T) {
	open := func(c *Config) { c.HTTPS = "127.0.0.1:0" }
	hen, dir := runBox(t, t.TempDir()), t.TempDir()
	hen.found(t)
	duck := runBox(t, dir, open)
	duck.join(t, hen, circle.Place{House: "Oak Street", Box: "duck"}, "bert")
	// The authority is nobody: what is served is what was put here.
	err := hen.SetName(t.Context(), domain.Settings{Domain: "hens.test", Provider: domain.ByHand, Authority: "https://127.0.0.1:1/dir"})
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, roots := certificateOf(t, "hens.test")
	for end, content := range map[string][]byte{"crt": certificate, "key": key, "json": []byte(`{"sans":["hens.test"]}`)} {
		if err := hen.public.vault.Put(t.Context(), "certs/certificates/127.0.0.1-1-dir/hens.test/hens.test."+end, content); err != nil {
			t.Fatal(err)
		}
	}
	awaits(t, "the certificate comes to the other box", func() bool { return duck.public.certs.Has("hens.test") })
	duck.stop(t)
	hen.stop(t)
	duck = runBox(t, dir, open)
	var served *tls.Conn
	awaits(t, "an answer", func() bool {
		served, err = tls.Dial("tcp", duck.public.https.Addr().String(), &tls.Config{ServerName: "hens.test", RootCAs: roots})
		return err == nil
	})
	served.Close()
	if _, some := duck.leadsCircle(t.Context()); some {
		t.Error("the box is not apart")
	}
}
