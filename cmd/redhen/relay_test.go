package main

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"redhen/appliance"
)

// Rule: a relay takes visitors at 443 and 80 by itself; port 80 is nothing without 443.
func TestWhereARelayTakesVisitors(t *testing.T) {
	for _, c := range []struct {
		flags       relayFlags
		https, http string
	}{
		{relayFlags{https: autoHTTPS, http: autoHTTPS}, ":443", ":80"},
		{relayFlags{https: autoHTTPS, http: autoHTTPS, listen: "2001:db8::1"}, "[2001:db8::1]:443", "[2001:db8::1]:80"},
		{relayFlags{https: "192.0.2.1:443", http: autoHTTPS}, "192.0.2.1:443", "192.0.2.1:80"},
		{relayFlags{https: ":8443", http: autoHTTPS}, ":8443", ""},
		{relayFlags{https: "", http: autoHTTPS}, "", ""},
		{relayFlags{https: autoHTTPS, http: ""}, ":443", ""},
	} {
		if https, http := c.flags.doors(); https != c.https || http != c.http {
			t.Errorf("%+v: %q, %q", c.flags, https, http)
		}
	}
}

func TestARelaySaysWhyADoorIsClosed(t *testing.T) {
	refused := func(why error) error {
		return &net.OpError{Op: "listen", Net: "tcp", Err: os.NewSyscallError("bind", why)}
	}
	got := closedWords([]appliance.ClosedDoor{
		{At: ":443", Err: refused(syscall.EADDRINUSE)}, {At: ":443", Err: refused(syscall.EACCES)}, {At: ":x", Err: errors.New("unknown port")},
	})
	for i, want := range []string{"another program uses it", "redhen install --relay", "unknown port"} {
		if !strings.Contains(got[i], want) {
			t.Errorf("%q does not say %q", got[i], want)
		}
	}
}
