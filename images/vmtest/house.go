package vmtest

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// Town is a handful of houses that have nothing in common but the internet. It needs
// root, for network namespaces.
type Town struct {
	name   string
	houses int
	made   []string // namespaces
}

// NewTown makes the internet, without any house on it. Close removes it, also when
// NewTown failed: then the error says what this computer lacks.
func NewTown() (*Town, error) {
	t := &Town{name: fmt.Sprintf("rhvm%d", os.Getpid()%100000)}
	return t, t.do(
		"ip netns add @",
		"ip -n @ link add street type bridge",
		"ip -n @ link set street up",
	)
}

// Close removes the houses. Their machines must be off.
func (t *Town) Close() {
	for _, ns := range t.made {
		exec.Command("ip", "netns", "del", ns).Run() // what is left says so to the next run
	}
}

// do runs commands until one fails; @ stands for the name of the town.
func (t *Town) do(commands ...string) error {
	for _, c := range commands {
		args := strings.Fields(strings.ReplaceAll(c, "@", t.name))
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", c, err, strings.TrimSpace(string(out)))
		}
		if args[1] == "netns" && args[2] == "add" {
			t.made = append(t.made, args[3])
		}
	}
	return nil
}

// House is one house: its router has a public address, and a network of its own behind
// it that knows no other house. The router is QEMU's own NAT; it opens the port of
// boxes when they ask for that by NAT-PMP (RFC 6886), as many routers do.
type House struct {
	Public netip.Addr
	number int
	ns     string
	closed sync.WaitGroup
	end    []io.Closer
}

// boxPort is the port that boxes use among themselves.
const boxPort = 4717

// House builds one.
func (t *Town) House() (*House, error) {
	t.houses++
	h := &House{number: t.houses, ns: fmt.Sprintf("%sh%d", t.name, t.houses), Public: netip.AddrFrom4([4]byte{8, 1, 0, byte(10 + t.houses)})}
	port := fmt.Sprintf("door%d", t.houses)
	err := t.do(
		"ip netns add "+h.ns,
		"ip -n "+h.ns+" link set lo up",
		"ip -n @ link add "+port+" type veth peer name wan netns "+h.ns,
		"ip -n @ link set "+port+" master street up",
		"ip -n "+h.ns+" link set wan up",
		fmt.Sprintf("ip -n %s addr add %s/24 dev wan", h.ns, h.Public),
	)
	if err != nil {
		return nil, err
	}
	c, err := inside(h.ns, func() (net.PacketConn, error) { return net.ListenPacket("udp4", "127.0.0.1:5351") })
	if err != nil {
		return nil, err
	}
	h.end = append(h.end, c)
	h.closed.Go(func() { h.mapPorts(c) })
	return h, nil
}

// Close ends what the router of the house does beside QEMU.
func (h *House) Close() {
	for _, c := range h.end {
		c.Close()
	}
	h.closed.Wait()
}

// netdev are QEMU's arguments for a machine in the house. Its pages are seen from
// inside of the house alone.
func (h *House) netdev() string {
	return fmt.Sprintf("user,id=net,net=192.168.%d.0/24,hostfwd=tcp:127.0.0.1:80-:80,hostfwd=tcp:%s:%d-:%d,hostfwd=udp:%s:%d-:%d",
		40+h.number, h.Public, boxPort, boxPort, h.Public, boxPort, boxPort)
}

// mapPorts answers who asks for a port, until the connection is closed. QEMU has passed
// it on from the start.
func (h *House) mapPorts(c net.PacketConn) {
	b := make([]byte, 64)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		if answer := h.mapping(b[:n]); answer != nil {
			c.WriteTo(answer, from) // who hears nothing asks again
		}
	}
}

// mapping answers one question of NAT-PMP, nil where there is no answer.
func (h *House) mapping(ask []byte) []byte {
	if len(ask) < 2 || ask[0] != 0 {
		return nil
	}
	public := h.Public.As4()
	switch op := ask[1]; {
	case op == 0: // what is the public address?
		return append([]byte{0, 128, 0, 0, 0, 0, 0, 1}, public[:]...)
	case (op == 1 || op == 2) && len(ask) >= 12:
		inner, refused := binary.BigEndian.Uint16(ask[4:]), byte(0)
		if inner != boxPort {
			refused = 2 // not authorised
		}
		answer := []byte{0, 128 + op, 0, refused, 0, 0, 0, 1}
		answer = binary.BigEndian.AppendUint16(answer, inner)
		answer = binary.BigEndian.AppendUint16(answer, boxPort)
		return append(answer, ask[8:12]...) // for as long as was asked
	}
	return nil
}

// pages passes the pages of the machine in the house on to an address of this
// computer, and returns that; it ends with the house.
func (h *House) pages() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	h.end = append(h.end, l)
	h.closed.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go h.carry(c) // ends with either side
		}
	})
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (h *House) carry(person net.Conn) {
	defer person.Close()
	box, err := inside(h.ns, func() (net.Conn, error) { return net.Dial("tcp4", "127.0.0.1:80") })
	if err != nil {
		return
	}
	defer box.Close()
	go func() {
		io.Copy(box, person)
		box.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(person, box)
}

// inside runs fn in a network namespace; what it opens stays there.
func inside[T any](ns string, fn func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() { done <- r }()
		runtime.LockOSThread() // never unlocked: the thread ends with this function
		f, err := os.Open(filepath.Join("/run/netns", ns))
		if err != nil {
			r.err = err
			return
		}
		defer f.Close()
		if _, _, e := syscall.RawSyscall(setns, f.Fd(), syscall.CLONE_NEWNET, 0); e != 0 {
			r.err = fmt.Errorf("enter %s: %w", ns, e)
			return
		}
		r.v, r.err = fn()
	}()
	r := <-done
	return r.v, r.err
}

// Run returns a command that runs in the house.
func (h *House) Run(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", h.ns}, args...)...)
}
