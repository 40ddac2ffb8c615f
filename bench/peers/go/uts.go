/* uts.go - the search of unbalanced trees, as in uts.h: a goroutine for each child, and a wait group for each node. */
package main

import (
	"crypto/sha1"
	"encoding/binary"
	"math"
	"sync"
	"time"
)

const utsMost = 100

type utsTree struct {
	b0, q                  float64
	m, limit               int
	seed                   uint32
	nodes, leaves, deepest uint32
}

var uts utsTree

type utsNode struct {
	state                         [sha1.Size]byte
	depth, nodes, leaves, deepest uint32
}

func (n *utsNode) child(i int) (child utsNode) {
	var message [sha1.Size + 4]byte
	copy(message[:], n.state[:])
	binary.BigEndian.PutUint32(message[sha1.Size:], uint32(i))
	child.state = sha1.Sum(message[:])
	child.depth = n.depth + 1
	return
}

func (n *utsNode) count() int {
	uniform := float64(binary.BigEndian.Uint32(n.state[sha1.Size-4:])&0x7fffffff) / 2147483648
	if uts.q > 0 {
		if n.depth == 0 {
			return int(uts.b0)
		}
		if uniform < uts.q {
			return uts.m
		}
		return 0
	}
	if n.depth >= uint32(uts.limit) {
		return 0
	}
	count := int(math.Log(1-uniform) / math.Log(1-1/(1+uts.b0)))
	if count > utsMost {
		count = utsMost
	}
	return count
}

func (n *utsNode) search() {
	count := n.count()
	n.nodes, n.deepest = 1, n.depth
	if count == 0 {
		n.leaves = 1
		return
	}
	children := make([]utsNode, count)
	var all sync.WaitGroup
	all.Add(count)
	for i := range children {
		children[i] = n.child(i)
		child := &children[i]
		go func() {
			child.search()
			all.Done()
		}()
	}
	all.Wait()
	for i := range children {
		child := &children[i]
		n.nodes += child.nodes
		n.leaves += child.leaves
		if n.deepest < child.deepest {
			n.deepest = child.deepest
		}
	}
}

func searchTree(tree utsTree) float64 {
	uts = tree
	var message [sha1.Size]byte
	binary.BigEndian.PutUint32(message[sha1.Size-4:], uts.seed)
	root := utsNode{state: sha1.Sum(message[:])}
	begun := time.Now()
	root.search()
	ns := since(begun, float64(uts.nodes))
	expect(uint64(root.nodes), uint64(uts.nodes), "nodes")
	expect(uint64(root.leaves), uint64(uts.leaves), "leaves")
	expect(uint64(root.deepest), uint64(uts.deepest), "depth")
	return ns
}

// The smaller tree first, as all do.
func searchTrees(tree, small utsTree) []float64 {
	ns := searchTree(small)
	if *quick {
		ns = searchTree(small)
	} else {
		ns = searchTree(tree)
	}
	return []float64{ns}
}

func utsT1() []float64 {
	return searchTrees(utsTree{4, 0, 0, 10, 19, 4130071, 3305118, 10}, utsTree{4, 0, 0, 7, 19, 63914, 51124, 7})
}

func utsT3() []float64 {
	return searchTrees(utsTree{2000, 0.124875, 8, 0, 42, 4112897, 3599034, 1572},
		utsTree{120, 0.124875, 8, 0, 31, 93505, 81831, 237})
}
