package pcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Sizes and numbers of RFC 6887. All integers are big-endian.
const (
	version     = 2
	opMap       = 1
	responseBit = 0x80
	mapSize     = 60 // header of 24 bytes and the 36 of MAP
	maxMessage  = 1100
)

// Protocols by their IANA numbers.
const (
	TCP uint8 = 6
	UDP uint8 = 17
)

// Result is the router's answer to a request (RFC 6887, 7.4); 0 is success.
type Result uint8

// String returns the name of the RFC.
func (r Result) String() string {
	names := [...]string{
		"success", "unsupported version", "not authorized", "malformed request", "unsupported opcode", "unsupported option",
		"malformed option", "network failure", "no resources", "unsupported protocol", "user exceeded quota",
		"cannot provide external", "address mismatch", "excessive remote peers",
	}
	if int(r) < len(names) {
		return names[r]
	}
	return fmt.Sprintf("result %d", uint8(r))
}

// Error makes a result an error.
func (r Result) Error() string { return "router refuses: " + r.String() }

// mapping is a MAP request, or the answer to one.
type mapping struct {
	lifetime time.Duration // whole seconds; 0 ends the mapping
	client   netip.Addr    // of a request
	result   Result        // of an answer
	epoch    uint32        // of an answer: seconds since the router lost its mappings
	nonce    [12]byte
	protocol uint8
	internal uint16
	external netip.AddrPort // suggested, or assigned
}

// request encodes a MAP request (RFC 6887, 7.1 and 11.1).
func (m mapping) request() []byte {
	b := make([]byte, mapSize)
	b[0], b[1] = version, opMap
	binary.BigEndian.PutUint32(b[4:], uint32(m.lifetime/time.Second))
	client := m.client.As16()
	copy(b[8:24], client[:])
	m.tail(b)
	return b
}

// answer encodes what a router says to it (RFC 6887, 7.2 and 11.1).
func (m mapping) answer() []byte {
	b := make([]byte, mapSize)
	b[0], b[1], b[3] = version, opMap|responseBit, byte(m.result)
	binary.BigEndian.PutUint32(b[4:], uint32(m.lifetime/time.Second))
	binary.BigEndian.PutUint32(b[8:], m.epoch)
	m.tail(b)
	return b
}

func (m mapping) tail(b []byte) {
	copy(b[24:36], m.nonce[:])
	b[36] = m.protocol
	binary.BigEndian.PutUint16(b[40:], m.internal)
	binary.BigEndian.PutUint16(b[42:], m.external.Port())
	external := m.external.Addr().As16()
	copy(b[44:60], external[:])
}

var errMessage = errors.New("no answer of PCP")

// readAnswer decodes an answer to a MAP request. Options behind it are not read.
func readAnswer(b []byte) (m mapping, err error) {
	if len(b) < 24 || len(b) > maxMessage || len(b)%4 != 0 || b[0] != version || b[1] != opMap|responseBit {
		// A router that knows only NAT-PMP answers with version 0 and "unsupported version".
		return m, errMessage
	}
	m.result = Result(b[3])
	m.lifetime = time.Duration(binary.BigEndian.Uint32(b[4:])) * time.Second
	m.epoch = binary.BigEndian.Uint32(b[8:])
	if len(b) < mapSize {
		return m, errMessage
	}
	copy(m.nonce[:], b[24:36])
	m.protocol = b[36]
	m.internal = binary.BigEndian.Uint16(b[40:])
	addr := netip.AddrFrom16([16]byte(b[44:60])).Unmap()
	m.external = netip.AddrPortFrom(addr, binary.BigEndian.Uint16(b[42:]))
	return m, nil
}
