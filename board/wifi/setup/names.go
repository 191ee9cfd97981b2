package setup

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"golang.org/x/net/dns/dnsmessage"
)

// serveNames answers every question for a name with the box's address, until ctx ends.
func serveNames(ctx context.Context) error {
	conn, err := net.ListenPacket("udp4", Address+":53")
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	b := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(b)
		switch {
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			return err
		}
		if reply, err := answerName(b[:n]); err == nil {
			conn.WriteTo(reply, from) // who does not get it asks again
		}
	}
}

// answerName answers a question: with the address of the box for an IPv4 address, with
// nothing for what else may be asked. The answer is good for this moment only.
func answerName(question []byte) ([]byte, error) {
	var p dnsmessage.Parser
	h, err := p.Start(question)
	if err != nil {
		return nil, err
	}
	if h.Response {
		return nil, errors.New("an answer was sent, not a question")
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: h.ID, Response: true, Authoritative: true, RecursionDesired: h.RecursionDesired, RecursionAvailable: true})
	b.EnableCompression()
	if err := errors.Join(b.StartQuestions(), b.Question(q), b.StartAnswers()); err != nil {
		return nil, err
	}
	if q.Type == dnsmessage.TypeA && q.Class == dnsmessage.ClassINET {
		a := dnsmessage.AResource{A: netip.MustParseAddr(Address).As4()}
		if err := b.AResource(dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}, a); err != nil {
			return nil, err
		}
	}
	return b.Finish()
}
