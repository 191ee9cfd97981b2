package appliance

import (
	"io"
	"net"
	"testing"
)

// Rule: when strangers crowd the public door, the diary says so.
func TestACrowdAtTheDoorIsInTheDiary(t *testing.T) {
	b := runBox(t, t.TempDir(), func(c *Config) { c.HTTPS = "127.0.0.1:0" })
	b.found(t)
	for range 300 { // 200 that are turned away within a minute are a crowd
		c, err := net.Dial("tcp", b.public.https.Addr().String())
		if err != nil {
			continue // turned away at once
		}
		io.WriteString(c, "GET / HTTP/1.1\r\n\r\n")
		io.Copy(io.Discard, c)
		c.Close()
	}
	b.says(t, "Strangers crowded the door of Mill Lane: 200 or more were turned away.")
}
