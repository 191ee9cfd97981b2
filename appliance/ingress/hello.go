package ingress

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"time"
)

// maxHello bounds what a client may send before it has named whom it wants, in bytes.
// Browsers need 500 to 2,500.
const maxHello = 16 << 10

// errHello says that what came first is no greeting of TLS, or names nobody.
var errHello = errors.New("ingress: no greeting of TLS with a name")

// hello is what a client asks for before anything is encrypted.
type hello struct {
	name   string   // whom: in lower case, without the dot at the end
	protos []string // what it wants to speak
	raw    []byte   // what was read, for the one who answers
}

// acme reports whether this is an authority that looks whether we hold the name (RFC 8737).
func (h hello) acme() bool { return len(h.protos) == 1 && h.protos[0] == "acme-tls/1" }

// readHello reads a ClientHello (RFC 8446 §4.1.2), and perhaps more that came with it: raw has all.
// The parser is that of crypto/tls: it is stopped as soon as it has understood.
func readHello(r io.Reader) (h hello, err error) {
	var seen bytes.Buffer
	src := &deaf{r: io.TeeReader(io.LimitReader(r, maxHello), &seen)}
	understood := false
	server := tls.Server(src, &tls.Config{GetConfigForClient: func(c *tls.ClientHelloInfo) (*tls.Config, error) {
		understood = true
		h.name, h.protos = cleanName(c.ServerName), c.SupportedProtos
		return nil, errHello // that is all
	}})
	err = server.HandshakeContext(context.Background())
	h.raw = seen.Bytes()
	switch {
	case src.err != nil && !understood:
		return hello{}, src.err
	case !understood || h.name == "":
		return hello{}, errors.Join(errHello, err)
	}
	return h, nil
}

// cleanName is a name as it is compared.
func cleanName(s string) string { return strings.ToLower(strings.TrimSuffix(s, ".")) }

// deaf is a connection that is only read from.
type deaf struct {
	r   io.Reader
	err error // of reading
}

var _ net.Conn = (*deaf)(nil)

func (d *deaf) Read(b []byte) (int, error) {
	n, err := d.r.Read(b)
	if err != nil {
		d.err = err
	}
	return n, err
}
func (d *deaf) Write(b []byte) (int, error)      { return len(b), nil }
func (d *deaf) Close() error                     { return nil }
func (d *deaf) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (d *deaf) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (d *deaf) SetDeadline(time.Time) error      { return nil }
func (d *deaf) SetReadDeadline(time.Time) error  { return nil }
func (d *deaf) SetWriteDeadline(time.Time) error { return nil }
