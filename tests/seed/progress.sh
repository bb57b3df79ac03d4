# In task script
for i in {1..20}; do
    otto-progress $i 100 "Processing item $i"
    # Do work...
done
