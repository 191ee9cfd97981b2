// Package name is a small internet inside one network namespace, for tests of a
// circle's public name: a name server that takes signed updates (Knot, of Debian's
// packages), an authority that gives certificates (Pebble, of Let's Encrypt), and the
// loopback addresses on which boxes have their doors. It needs root.
package name

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// Zone is the name that the server serves; Server and Authority are where they listen.
const (
	Zone      = "hens.test"
	Server    = "127.0.0.53:53"
	KeyName   = "redhen"
	Key       = "cmVkaGVuIHJlZGhlbiByZWRoZW4gcmVkaGVuISEhISE=" // of the tests alone
	Authority = "https://127.0.0.1:14000/dir"
)

// Inside runs this program again in a network namespace of its own, whose only name
// server is Server, and returns how it ended.
func Inside(mark string) error {
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), mark+"=yes")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL,
	}
	return cmd.Run()
}

// Settle prepares the namespace; called inside it.
func Settle(dir string) error {
	resolv := filepath.Join(dir, "resolv.conf")
	host, _, err := net.SplitHostPort(Server)
	if err != nil {
		return err
	}
	if err := os.WriteFile(resolv, []byte("nameserver "+host+"\n"), 0o644); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"mount", "--make-rprivate", "/"},
		{"mount", "--bind", resolv, "/etc/resolv.conf"},
		{"ip", "link", "set", "lo", "up"},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w: %s", args, err, out)
		}
	}
	return nil
}

const knotConf = `
server:
    listen: 127.0.0.53@53
    rundir: "%[1]s"
    pidfile: "%[1]s/knot.pid"
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: "%[1]s"
key:
  - id: redhen
    algorithm: hmac-sha256
    secret: %[2]s
acl:
  - id: updates
    key: redhen
    action: update
zone:
  - domain: hens.test
    storage: "%[1]s"
    file: hens.zone
    acl: updates
    zonefile-sync: -1
    journal-content: all
    semantic-checks: off
`

const zoneFile = `$ORIGIN hens.test.
$TTL 60
@ SOA ns.hens.test. admin.hens.test. 1 3600 600 86400 5
@ NS ns.hens.test.
ns A 127.0.0.53
`

// StartServer runs the name server until ctx ends.
func StartServer(ctx context.Context, dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "knot.conf"), fmt.Appendf(nil, knotConf, dir, Key), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "hens.zone"), []byte(zoneFile), 0o600); err != nil {
		return err
	}
	said, err := os.Create(filepath.Join(dir, "knot.log"))
	if err != nil {
		return err
	}
	defer said.Close()
	cmd := exec.CommandContext(ctx, "knotd", "-c", filepath.Join(dir, "knot.conf"))
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	go cmd.Wait() // ends with ctx
	for range 200 {
		if _, err := Lookup("ns." + Zone); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	out, err := os.ReadFile(said.Name())
	return fmt.Errorf("the name server does not answer: %s %v", out, err)
}

// Lookup asks the name server for the IPv4 addresses of a name.
func Lookup(name string) (list []string, err error) {
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), dns.TypeA)
	in, err := dns.Exchange(q, Server)
	if err != nil {
		return nil, err
	}
	for _, rr := range in.Answer {
		if a, ok := rr.(*dns.A); ok {
			list = append(list, a.A.String())
		}
	}
	return list, nil
}

// Pebble is a running authority.
type Pebble struct {
	Roots  string              // file, by which its own pages are trusted
	Root   *x509.Certificate   // of the certificates that it gives
	Chain  []*x509.Certificate // of those: what signs them, and Root
	server *http.Server
}

// StartAuthority runs the authority, whose certificates are valid for so long.
func StartAuthority(dir string, valid time.Duration) (*Pebble, error) {
	for k, v := range map[string]string{"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"} {
		if err := os.Setenv(k, v); err != nil {
			return nil, err
		}
	}
	quiet := log.New(io.Discard, "", 0)
	if f, err := os.Create(filepath.Join(dir, "pebble.log")); err == nil {
		quiet = log.New(f, "", log.LstdFlags)
	}
	store := db.NewMemoryStore()
	authority := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "short", ValidityPeriod: uint64(valid / time.Second)}})
	judge := va.New(quiet, 80, 443, false, Server, store)
	door := wfe.New(quiet, store, judge, authority, []string{"pebble"}, false, false, 1, 1)
	cert, err := ownCertificate()
	if err != nil {
		return nil, err
	}
	p := &Pebble{Roots: filepath.Join(dir, "authority.pem"), Root: authority.GetRootCert(0).Cert}
	p.Chain = []*x509.Certificate{authority.GetIntermediateCert(0).Cert, p.Root}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
	if err := os.WriteFile(p.Roots, text, 0o600); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:14000")
	if err != nil {
		return nil, err
	}
	p.server = &http.Server{Handler: door.Handler(), ErrorLog: quiet}
	go p.server.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}})) // ends with Close
	return p, nil
}

// Close ends the authority.
func (p *Pebble) Close() { p.server.Close() }
