package p2p

import (
	"testing"
)

func TestAHostWithMDNSRunsAndEnds(t *testing.T) {
	a := testHost(t, Config{MDNS: true})
	stop := run(t, a)
	stop()
}
