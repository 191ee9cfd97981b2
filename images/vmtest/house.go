package vmtest

import (
	"context"
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

// House is one house: a network of its own, whose router is QEMU's NAT and lets nothing
// in but what is for the port of its box. Box and router have one public address, so
// that the box knows where it is; its pages are seen from inside of the house alone.
type House struct {
	Public netip.Addr
	ns     string
	closed sync.WaitGroup
	end    []io.Closer
}

const (
	boxPort = 4717           // that boxes use among themselves
	inHouse = "192.168.77.1" // from where people in a house look at its pages
)

// House builds one.
func (t *Town) House() (*House, error) {
	t.houses++
	h := &House{ns: fmt.Sprintf("%sh%d", t.name, t.houses), Public: netip.AddrFrom4([4]byte{8, 1, byte(t.houses), 15})}
	port := fmt.Sprintf("door%d", t.houses)
	return h, t.do(
		"ip netns add "+h.ns,
		"ip -n "+h.ns+" link set lo up",
		"ip -n "+h.ns+" addr add "+inHouse+"/32 dev lo",
		"ip -n @ link add "+port+" type veth peer name wan netns "+h.ns,
		"ip -n @ link set "+port+" master street up",
		"ip -n "+h.ns+" link set wan up",
		fmt.Sprintf("ip -n %s addr add %s/16 dev wan", h.ns, h.Public),
	)
}

// Close ends what passes people on to the pages of the house.
func (h *House) Close() {
	for _, c := range h.end {
		c.Close()
	}
	h.closed.Wait()
}

// netdev are QEMU's arguments for a machine in the house.
func (h *House) netdev() string {
	b := h.Public.As4()
	return fmt.Sprintf("user,id=net,net=%d.%d.%d.0/24,ipv6=off,hostfwd=tcp:%s:80-:80,hostfwd=tcp:%s:%d-:%d,hostfwd=udp:%s:%d-:%d",
		b[0], b[1], b[2], inHouse, h.Public, boxPort, boxPort, h.Public, boxPort, boxPort)
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
	box, err := inside(h.ns, func() (net.Conn, error) { return net.Dial("tcp4", inHouse+":80") })
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
