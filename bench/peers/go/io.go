/* io.go - a byte to and fro over a pair of sockets. */
package main

import (
	"net"
	"os"
	"syscall"
	"time"
)

func connection(fd int) net.Conn {
	file := os.NewFile(uintptr(fd), "socket")
	c, err := net.FileConn(file)
	if err != nil {
		fail("%v", err)
	}
	file.Close()
	return c
}

func must(n int, err error) {
	if n != 1 || err != nil {
		fail("%d bytes: %v", n, err)
	}
}

func ioPingpong() []float64 {
	n := size(20000, 1000)
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		fail("%v", err)
	}
	here, there := connection(fds[0]), connection(fds[1])
	go func() {
		b := make([]byte, 1)
		for i := 0; i < n; i++ {
			must(there.Read(b))
			must(there.Write(b))
		}
		there.Close()
	}()
	b := make([]byte, 1)
	begun := time.Now()
	for i := 0; i < n; i++ {
		must(here.Write(b))
		must(here.Read(b))
	}
	ns := since(begun, float64(n))
	here.Close()
	return []float64{ns}
}
